package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func written(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "relay.toml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFileAndEnvironment(t *testing.T) {
	file := written(t, `
[postgres]
conn = "host=db"
slot = "orders"
options = { tables = "public.*", streaming = "on" }
[kafka]
brokers = ["a:1", "b:2"]
transaction_bytes = "2MB"
partitions = 3
tombstones = true
`)
	c, err := Load(file, []string{"CDC_RELAY_POSTGRES_SLOT=other", "CDC_RELAY_POSTGRES_OPTIONS_OLD=full", "HOME=/", "CDC_RELAY_KAFKA_TRANSACTION_TIME=1s"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Postgres.Slot != "other" || c.Postgres.Conn != "host=db" || c.Postgres.Options["tables"] != "public.*" || c.Postgres.Options["old"] != "full" {
		t.Errorf("%+v", c.Postgres)
	}
	if k := c.Kafka; strings.Join(k.Brokers, " ") != "a:1 b:2" || k.TransactionBytes != 2<<20 || k.Partitions != 3 || !k.Tombstones || k.TransactionTime != time.Second {
		t.Errorf("%+v", k)
	}
	if c.Bus() != "kafka" || c.NATS.HoldBack != 3*time.Minute {
		t.Errorf("bus %s, hold_back %v", c.Bus(), c.NATS.HoldBack)
	}
}

func TestWhatIsRefused(t *testing.T) {
	good := "[postgres]\nslot = 's'\n[nats]\nembedded = 'x'\n"
	for _, c := range []struct{ content, environ, want string }{
		{good + "hold_bak = '1s'", "", "there is no setting nats.hold_bak: is nats.hold_back meant?"},
		{good + "[postgers]\nslot = 1", "", "is postgres.slot meant?"},
		{good, "CDC_RELAY_NATS_HOLDBACK=1s", "is CDC_RELAY_NATS_HOLD_BACK meant?"},
		{good + "[zzz]\nqqqqqqqqqq = 1", "", "there is no setting zzz.qqqqqqqqqq"},
		{good + "hold_back = 3", "", "nats.hold_back: it is a duration"},
		{good + "in_flight_bytes = 'x'", "", "nats.in_flight_bytes: it is a size"},
		{good + "create = 'yes'", "", "nats.create: it is true or false"},
		{good + "[relay]\nvalue = 'avro'", "", "relay.value: it is one of batch, json"},
		{good + "[relay]\nprefix = 'a b'", "", "cannot begin names of topics"},
		{good + "[relay]\ntopic = '{prefix}.{schema}'", "", "relay.topic: {table} is missing"},
		{good + "[kafka]\nbrokers = 'x:1'", "", "exactly one of"},
		{"[nats]\nembedded = 'x'", "", "postgres.slot: must be set"},
		{"[postgres]\nslot = 's'\n[kafka]\nbrokers = 'x:1'\nsasl = 'plain'", "", "kafka.password_file must be set"},
		{good + "creds = '/no/such/file'", "", "no such file"},
		{good + "[relay]\nvalue = 'row'", "", "registry.url must be set"},
		{good + "[registry]\nurl = 'http://r'", "", "registry.url: only for relay.value = row"},
		{good + "[relay]\nvalue = 'row'\n[registry]\nurl = 'r:8081'", "", "begin with http:// or https://"},
		{good + "[relay]\nvalue = 'row'\n[registry]\nurl = 'http://u:p@r'", "", "registry.password_file"},
		{good + "[relay]\nvalue = 'row'\n[registry]\nurl = 'http://r'\nuser = 'u'", "", "one is not there without the other"},
		{good + "[relay]\nvalue = 'row'\ntoo_large = 'reference'\n[registry]\nurl = ['http://r', 'https://s/t']", "", "set it to stop or dead_letter"},
		{"[postgres", "", "relay.toml: "},
	} {
		_, err := Load(written(t, c.content), []string{c.environ})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %s: the error is %v, not %s", c.content, c.environ, err, c.want)
		}
	}
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	_, err := Load(written(t, "[nats]\na = 1\nb = 2\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "nats.a") || !strings.Contains(err.Error(), "nats.b") {
		t.Errorf("the error is %v", err)
	}
}

// What is printed can be read, and says what counts without it.
func TestPrintedSettings(t *testing.T) {
	var out bytes.Buffer
	Print(&out)
	var content strings.Builder
	for line := range strings.Lines(out.String()) {
		rest := strings.TrimPrefix(line, "# ")
		if name, _, ok := strings.Cut(rest, " = "); ok && !strings.Contains(name, " ") && name != "options.NAME" {
			line = rest
		}
		content.WriteString(line)
	}
	printed, err := Load(written(t, content.String()), []string{"CDC_RELAY_POSTGRES_SLOT=s", "CDC_RELAY_NATS_URL=u"})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Load("", []string{"CDC_RELAY_POSTGRES_SLOT=s", "CDC_RELAY_NATS_URL=u"})
	if err != nil {
		t.Fatal(err)
	}
	if printed.NATS != plain.NATS || printed.Relay != plain.Relay || printed.Log != plain.Log {
		t.Errorf("printed %+v\nplain %+v", printed, plain)
	}
	for i := range Settings {
		if !strings.Contains(out.String(), Settings[i].Env()) || Settings[i].About == "" {
			t.Errorf("%s is not told", Settings[i].Name)
		}
	}
}
