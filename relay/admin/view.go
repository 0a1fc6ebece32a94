package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgcdc/cdc/relay/load"
	"github.com/pgcdc/cdc/relay/pump"
)

// view is what the page shows, as it shows it.
type view struct {
	Slot, Bus, Topics      string
	State, Mood, Why, Long string
	Now                    string
	Facts, Rates, Ops      []fact
	Loads                  []loading
	Failures               []failure
	Missing                []fact
	Versions               []version
}

type fact struct{ Name, Value, About string }

type loading struct{ Table, State, Rows, Left string }

type failure struct{ At, Ago, Error string }

// moods are whether a state is as it should be.
var moods = map[string]string{"running": "good", "standby": "calm", "starting": "wait", "waiting": "bad", "stopped": "bad"}

// states in more words.
var states = map[string]string{
	"running":  "It carries changes.",
	"standby":  "Another relay has the slot; this one goes on when that one ends.",
	"starting": "It opens the slot and the bus.",
	"waiting":  "It could not go on, and tries again.",
	"stopped":  "It has ended.",
}

func (p *page) view(now time.Time) *view {
	status, s := p.pump.Status(), gather(p.registry, now)
	v := &view{
		Slot: p.pump.Client.Slot, Topics: p.pump.Plan.Prefix + strings.TrimPrefix(p.pump.Plan.Topic.String(), "{prefix}"),
		State: status.State, Mood: moods[status.State], Why: states[status.State], Now: stamp(now), Versions: p.versions,
		Facts: facts(s, status.State), Rates: rates(p.before(s), s, p.began), Ops: s.ops(), Missing: s.missing(),
	}
	if p.pump.Driver != nil {
		v.Bus = p.pump.Driver.Describe()
	}
	if !status.Since.IsZero() {
		v.Long = ago(now.Sub(status.Since))
	}
	for _, l := range status.Loads {
		v.Loads = append(v.Loads, loadOf(l))
	}
	for _, f := range status.Failures {
		v.Failures = append(v.Failures, failureOf(f, now))
	}
	return v
}

func facts(s sample, state string) []fact {
	if state != "running" {
		return nil // what they say is of another time
	}
	return []fact{
		{"Behind", seconds(s.of("cdc_lag_seconds")), "age of the oldest transaction that PostgreSQL has not been told of"},
		{"Lag in WAL", size(s.of("cdc_lag_bytes")), "between what is acknowledged and what the server has sent"},
		{"WAL kept", size(s.of("cdc_retained_wal_bytes")), "by the server for this slot"},
		{"Read ahead", size(s.of("cdc_buffered_bytes")), "of the bus"},
		{"COMMIT to bus", seconds(s.of("cdc_relay_lag_seconds")), "of the last transaction"},
	}
}

// loadOf is a table that is loaded.
func loadOf(l load.Status) loading {
	rows := count(float64(l.Rows))
	if l.Estimated > 0 {
		rows += " of about " + count(float64(l.Estimated))
	}
	left := ""
	if l.SecondsLeft > 0 {
		left = ago(time.Duration(l.SecondsLeft) * time.Second)
	}
	return loading{l.Table, l.State, rows, left}
}

func failureOf(f pump.Failure, now time.Time) failure {
	return failure{stamp(f.At), ago(now.Sub(f.At)), f.Error}
}

// before is the oldest sample of the last half minute; s is kept for those who ask later.
func (p *page) before(s sample) sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = slices.DeleteFunc(p.samples, func(old sample) bool { return s.at.Sub(old.at) > 30*time.Second })
	oldest := sample{}
	if len(p.samples) > 0 {
		oldest = p.samples[0]
	}
	if n := len(p.samples); n == 0 || s.at.Sub(p.samples[n-1].at) >= time.Second {
		p.samples = append(p.samples, s)
	}
	return oldest
}

// counted is what has a rate.
var counted = []struct {
	name, metric string
	say          func(float64) string
}{
	{"Messages", "cdc_relay_messages_total", count},
	{"Bytes", "cdc_relay_bytes_total", size},
	{"Transactions", "cdc_relay_transactions_total", count},
	{"Come again", "cdc_relay_repeated_transactions_total", count},
	{"Sessions that failed", "cdc_relay_failed_sessions_total", count},
	{"Dead letters", "cdc_dead_letters_total", count},
}

// rates since then, or since the process began; and what there was in all.
func rates(then, s sample, began time.Time) (all []fact) {
	from := then.at
	if from.IsZero() {
		from = began
	}
	span := max(s.at.Sub(from).Seconds(), 0.001)
	for _, c := range counted {
		rate := (s.of(c.metric) - then.of(c.metric)) / span
		all = append(all, fact{c.name, c.say(s.of(c.metric)), perSecond(rate, c.say)})
	}
	return all
}

func perSecond(rate float64, say func(float64) string) string {
	if rate > 0 && rate < 1 {
		return fmt.Sprintf("%.2g/s", rate)
	}
	return say(rate) + "/s"
}
