package main

// panel is one of the dashboard, and query what it asks Prometheus for.
type panel struct {
	title, about string
	draw         drawing
	unit         string
	queries      []query
}

type query struct{ expr, legend string }

type row struct {
	title  string
	panels []panel
}

// each is what is selected at the top.
const each = `{slot=~"$slot"}`

// spread of a histogram, by bucket.
func spread(histogram string) []query {
	return []query{{`sum by (le) (increase(` + histogram + `_bucket` + each + `[$__rate_interval]))`, "{{le}}"}}
}

// rows are all that the dashboard shows. $slot stands for what is selected at its top.
var rows = []row{
	{"Health", []panel{
		{"Slots that are read", "Of those that are there; by cdc.fetch() a slot is read only while somebody asks.", number, "short",
			[]query{{`sum(cdc_slot_active` + each + `)`, "read"}, {`count(cdc_slot_active` + each + `)`, "there"}}},
		{"Relays carrying", "One for each slot that goes to a bus; others stand by.", number, "short",
			[]query{{`sum(cdc_relay_running` + each + `)`, "carry"}, {`count(cdc_relay_running` + each + `)`, "there"}}},
		{"Consumers connected", "Of those that are there.", number, "short",
			[]query{{`sum(cdc_connected` + each + `)`, "connected"}, {`count(cdc_connected` + each + `)`, "there"}}},
		{"Oldest heartbeat", "Since the COMMIT of the last one that a consumer was handed. Nothing where none are written.", number, "s",
			[]query{{`max(cdc_heartbeat_age_seconds` + each + `)`, "age"}}},
		{"Gaps, last day", "Transactions that came incomplete. There must be none.", number, "short",
			[]query{{`sum(increase(cdc_gaps_total` + each + `[1d]))`, "gaps"}}},
		{"Most behind", "Age of the oldest change that is not acknowledged.", number, "s",
			[]query{{`max(cdc_lag_seconds` + each + `)`, "lag"}}},
		{"Slots lost, or nearly", "Their consumers have to load anew, or will.", number, "short",
			[]query{{`sum(cdc_slot_lost` + each + `)`, "lost"}, {`count(cdc_slot_status_info{slot=~"$slot", status="unreserved"}) or vector(0)`, "nearly"}}},
		{"Dead letters, last hour", "Changes that consumers do not have.", number, "short",
			[]query{{`sum(increase(cdc_dead_letters_total` + each + `[1h]))`, "clients"}, {`sum(increase(cdc_relay_dead_letters_total` + each + `[1h]))`, "relays"}}},
		{"Versions", "Databases, and whether their extension is older than what is installed.", table, "short",
			[]query{{`cdc_extension_outdated`, ""}, {`cdc_build_info` + each, ""}}},
	}},
	{"Lag", []panel{
		{"Lag by consumer", "Age of the oldest change that is not acknowledged; 0 when all are.", lines, "s",
			[]query{{`cdc_lag_seconds` + each, "{{slot}} {{instance}}"}}},
		{"Lag in WAL", "What the server has, and the consumer has not acknowledged.", lines, "bytes",
			[]query{{`cdc_lag_bytes` + each, "{{slot}} {{instance}}"}, {`cdc_slot_lag_bytes` + each, "{{slot}}, by the server"}}},
		{"Read ahead", "At its limit, the consumer is too slow.", lines, "bytes",
			[]query{{`cdc_buffered_bytes` + each, "{{slot}} {{instance}}"}}},
		{"From COMMIT to the client", "Transactions, by how long they took.", heat, "s", spread("cdc_receive_delay_seconds")},
		{"From the client to acknowledged", "Transactions, by how long the consumer took.", heat, "s", spread("cdc_acknowledge_delay_seconds")},
		{"Late, of a hundred the last", "99 of a hundred transactions take less, for each part of the way.", lines, "s",
			[]query{{`histogram_quantile(0.99, sum by (slot, le) (rate(cdc_receive_delay_seconds_bucket` + each + `[$__rate_interval])))`, "{{slot}} to the client"},
				{`histogram_quantile(0.99, sum by (slot, le) (rate(cdc_acknowledge_delay_seconds_bucket` + each + `[$__rate_interval])))`, "{{slot}} to acknowledged"}}},
		{"Heartbeats", "Since the COMMIT of the last one: how late a change would be now, also where nothing is written.", lines, "s",
			[]query{{`cdc_heartbeat_age_seconds` + each, "{{slot}} {{instance}}"}}},
	}},
	{"Throughput", []panel{
		{"Events by op", "", lines, "eps",
			[]query{{`sum by (op) (rate(cdc_events_total` + each + `[$__rate_interval]))`, "{{op}}"}}},
		{"Transactions", "", lines, "ops",
			[]query{{`sum by (slot) (rate(cdc_transactions_total` + each + `[$__rate_interval]))`, "{{slot}}"}}},
		{"Bytes", "Of batches received, and what the server has sent.", lines, "Bps",
			[]query{{`sum by (slot) (rate(cdc_bytes_total` + each + `[$__rate_interval]))`, "{{slot}}"},
				{`sum by (slot) (rate(cdc_stats_bytes_total` + each + `[$__rate_interval]))`, "{{slot}}, by the server"}}},
		{"Batches", "", lines, "ops",
			[]query{{`sum by (slot) (rate(cdc_batches_total` + each + `[$__rate_interval]))`, "{{slot}}"},
				{`sum by (slot) (rate(cdc_stats_batches_total` + each + `[$__rate_interval]))`, "{{slot}}, by the server"}}},
		{"Loads", "Rows that were read, of about how many.", lines, "short",
			[]query{{`cdc_load_rows_total` + each, "{{slot}} read"}, {`cdc_load_rows_expected` + each, "{{slot}} of about"}}},
		{"Server: events, failures", "", lines, "eps",
			[]query{{`sum by (slot) (rate(cdc_stats_events_total` + each + `[$__rate_interval]))`, "{{slot}}"},
				{`sum by (slot) (rate(cdc_stats_failures_total` + each + `[$__rate_interval]))`, "{{slot}} failures"}}},
	}},
	{"WAL and slots", []panel{
		{"WAL kept", "For each slot.", lines, "bytes",
			[]query{{`cdc_slot_retained_bytes` + each, "{{slot}}"}, {`cdc_retained_wal_bytes` + each, "{{slot}}, by the client"}}},
		{"WAL until a slot is lost", "Nothing without max_slot_wal_keep_size.", lines, "bytes",
			[]query{{`cdc_slot_safe_wal_bytes` + each, "{{slot}}"}}},
		{"Slots", "wal_status, whether somebody reads, whether tables are missing, whether a standby has it.", table, "short",
			[]query{{`cdc_slot_status_info` + each, ""}, {`cdc_slot_active` + each, ""}, {`cdc_slot_missing_tables` + each, ""}, {`cdc_slot_unsynced` + each, ""}}},
		{"Feedback", "Since the reader was heard of last.", lines, "s",
			[]query{{`cdc_slot_feedback_age_seconds` + each, "{{slot}}"}}},
		{"Catalogs held back", "Transactions since the oldest one whose catalog rows VACUUM keeps.", lines, "short",
			[]query{{`cdc_slot_catalog_age_transactions` + each, "{{slot}}"}}},
		{"Put to disk by the server", "Transactions larger than logical_decoding_work_mem.", lines, "Bps",
			[]query{{`rate(cdc_slot_spill_bytes_total` + each + `[$__rate_interval])`, "{{slot}}"}}},
	}},
	{"Bus", []panel{
		{"Messages by op", "", lines, "ops",
			[]query{{`sum by (op) (rate(cdc_relay_messages_total` + each + `[$__rate_interval]))`, "{{op}}"}}},
		{"Bytes to the bus", "", lines, "Bps",
			[]query{{`sum by (slot) (rate(cdc_relay_bytes_total` + each + `[$__rate_interval]))`, "{{slot}}"}}},
		{"Relay's lag", "From COMMIT of the last transaction until it was handed to the bus.", lines, "s",
			[]query{{`cdc_relay_lag_seconds` + each, "{{slot}} {{instance}}"}}},
		{"Sessions that failed", "And topics that were not there.", lines, "short",
			[]query{{`sum by (slot, reason) (increase(cdc_relay_failed_sessions_total` + each + `[$__rate_interval]))`, "{{slot}} {{reason}}"},
				{`sum by (topic) (increase(cdc_relay_missing_topics_total` + each + `[$__rate_interval]))`, "{{topic}} is missing"}}},
		{"From COMMIT to the bus", "Transactions, by how long they took until the bus had stored them.", heat, "s", spread("cdc_relay_publish_delay_seconds")},
		{"Late on the bus", "99 of a hundred transactions take less, and half of them.", lines, "s",
			[]query{{`histogram_quantile(0.99, sum by (slot, le) (rate(cdc_relay_publish_delay_seconds_bucket` + each + `[$__rate_interval])))`, "{{slot}} 99"},
				{`histogram_quantile(0.5, sum by (slot, le) (rate(cdc_relay_publish_delay_seconds_bucket` + each + `[$__rate_interval])))`, "{{slot}} half"}}},
		{"From the bus to its readers", "Messages, by how long it took until a reader of topics had them..", heat, "s",
			[]query{{`sum by (le) (increase(cdc_read_delay_seconds_bucket[$__rate_interval]))`, "{{le}}"}}},
		{"Loads by the relay", "Rows that were read, about how many are to come, and of how many tables.", lines, "short",
			[]query{{`cdc_relay_load_rows_total` + each, "{{slot}} read"}, {`cdc_relay_load_rows_estimated` + each, "{{slot}} to come"},
				{`cdc_relay_load_tables` + each, "{{slot}} tables"}}},
		{"Transactions", "Carried, and come again after a start.", lines, "ops",
			[]query{{`sum by (slot) (rate(cdc_relay_transactions_total` + each + `[$__rate_interval]))`, "{{slot}}"},
				{`sum by (slot) (rate(cdc_relay_repeated_transactions_total` + each + `[$__rate_interval]))`, "{{slot}} again"}}},
	}},
	{"Schemas, redaction, dead letters", []panel{
		{"Other versions than expected", "", lines, "short",
			[]query{{`sum by (slot, relation) (increase(cdc_schema_version_mismatches_total` + each + `[$__rate_interval]))`, "{{slot}} {{relation}}"}}},
		{"Redacted", "Events of tables with redacted columns. Where rules hold, it does not stop while events flow.", lines, "eps",
			[]query{{`sum by (slot) (rate(cdc_redacted_total` + each + `[$__rate_interval]))`, "{{slot}}"}}},
		{"Withheld by the server", "Changes, messages, values that the reader may not be sent; forged messages.", lines, "short",
			[]query{{`increase(cdc_stats_withheld_changes_total` + each + `[$__rate_interval])`, "{{slot}} changes"},
				{`increase(cdc_stats_withheld_messages_total` + each + `[$__rate_interval])`, "{{slot}} messages"},
				{`increase(cdc_stats_withheld_values_total` + each + `[$__rate_interval])`, "{{slot}} values"},
				{`increase(cdc_stats_forged_messages_total` + each + `[$__rate_interval])`, "{{slot}} forged"},
				{`increase(cdc_stats_dropped_metadata_total` + each + `[$__rate_interval])`, "{{slot}} metadata"}}},
		{"Dead letters by reason", "", lines, "short",
			[]query{{`sum by (slot, reason) (increase(cdc_dead_letters_total` + each + `[$__rate_interval]))`, "{{slot}} {{reason}}"},
				{`sum by (slot, reason) (increase(cdc_relay_dead_letters_total` + each + `[$__rate_interval]))`, "{{slot}} {{reason}}, by the relay"}}},
		{"Connections and checkpoints that failed", "", lines, "short",
			[]query{{`sum by (slot, reason) (increase(cdc_reconnects_total` + each + `[$__rate_interval]))`, "{{slot}} reconnects: {{reason}}"},
				{`sum by (slot) (increase(cdc_store_failures_total` + each + `[$__rate_interval]))`, "{{slot}} checkpoints"}}},
		{"Fields of a newer server", "Update the client.", lines, "short",
			[]query{{`sum by (slot) (increase(cdc_unknown_fields_total` + each + `[$__rate_interval]))`, "{{slot}}"},
				{`sum by (slot) (rate(cdc_stats_transactions_total` + each + `[$__rate_interval]))`, "{{slot}} transactions sent"}}},
	}},
}
