package live

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// deadly are changes that go to the dead letters, and changes after which most rows fit again, or are gone.
var deadly = []string{
	"INSERT INTO a VALUES (1, 1, repeat('x', 9000000))", "INSERT INTO a VALUES (2, 2, repeat('x', 25000000))",
	"INSERT INTO a VALUES (3, 3, 'small')", "UPDATE a SET v = repeat('x', 9000000) WHERE id = 3", "DELETE FROM a WHERE id = 3",
	"INSERT INTO a VALUES (4, 4, repeat('x', 9000000))", "INSERT INTO a VALUES (5, 5, 'small')", "UPDATE a SET id = 6, v = repeat('x', 9000000) WHERE id = 5",
	`INSERT INTO b VALUES ('"k', 7, repeat('x', 9000000))`, "INSERT INTO nokey VALUES (repeat('x', 9000000))", "INSERT INTO dropped VALUES (1, repeat('x', 9000000))",
	"UPDATE a SET v = 'fits' WHERE id IN (1, 2, 6)", "UPDATE b SET v = 'fits'", "DROP TABLE dropped",
	"INSERT INTO rekeyed VALUES (1, 2, repeat('x', 9000000))", "ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (other)",
}

// Letters are listed, and their rows sent as they are now, or said to be gone; once more does no harm.
func TestReplayEmbedded(t *testing.T) {
	replays(t, &trial{name: "replay_embedded", b: &embedded{t.TempDir(), freePort(t)}})
}

func TestReplayFetch(t *testing.T) {
	replays(t, &trial{name: "replay_fetch", b: &embedded{t.TempDir(), freePort(t)}, env: []string{"CDC_RELAY_POSTGRES_TRANSPORT=fetch"}})
}

func TestReplayKfake(t *testing.T) {
	replays(t, &trial{name: "replay_kfake", b: imitation(t)})
}

func replays(t *testing.T, s *trial) {
	s.env = append(s.env, "CDC_RELAY_RELAY_TOO_LARGE=dead_letter", "CDC_RELAY_RELAY_FAILURES=dead_letter", "CDC_RELAY_ADMIN_LISTEN="+freePort(t))
	s.prepare(t)
	s.execute("ALTER DATABASE "+s.name+" SET cdc.max_event_size = '20MB'", "CREATE TABLE dropped (id int PRIMARY KEY, v text)", "CREATE TABLE nokey (v text)",
		"CREATE TABLE rekeyed (id int PRIMARY KEY, other int, v text)")
	s.running()
	s.execute(deadly...)
	s.recovered()
	command := func(arguments ...string) (out string, code int) {
		var wrong bytes.Buffer
		cmd := exec.Command(s.relay.cmd.Path, append([]string{"replay-dead", "--config", s.relay.config}, arguments...)...)
		cmd.Env, cmd.Stderr = append(os.Environ(), s.relay.env...), &wrong
		content, err := cmd.Output()
		if err != nil && cmd.ProcessState.ExitCode() < 0 {
			t.Fatal(err)
		}
		return string(content) + wrong.String(), cmd.ProcessState.ExitCode()
	}
	out, code := command()
	for _, want := range []string{` INSERT public.a too_large {"key":{"id":1}}`, ` INSERT public.a failure {"key":{"id":2}}`, ` DELETE public.a too_large {"key":{"id":3}}`,
		` UPDATE public.a too_large {"key":{"id":5},"new_key":{"id":6}}`, ` INSERT public.nokey too_large -`} {
		if !strings.Contains(out, want+"\n") || code != 0 {
			t.Errorf("%d, the list does not have %s:\n%s", code, want, out)
		}
	}
	letters := len(s.letters())
	for range 2 {
		out, code = command("--send")
		for _, want := range []string{` INSERT public.a too_large {"key":{"id":1}}: sent`, ` INSERT public.a failure {"key":{"id":2}}: sent`,
			` DELETE public.a too_large {"key":{"id":3}}: said to be gone`, ` INSERT public.a too_large {"key":{"id":4}}: not sent: it is too large for the bus`,
			` UPDATE public.a too_large {"key":{"id":5},"new_key":{"id":6}}: sent, said to be gone`, ` INSERT public.b too_large {"key":{"k":"\"k","j":7}}: sent`,
			` INSERT public.nokey too_large -: not sent: it has no key`, ` INSERT public.dropped too_large {"key":{"id":1}}: not sent: there is no such table any more`,
			` INSERT public.rekeyed too_large {"key":{"id":1}}: not sent: the table has another key now`} {
			if !strings.Contains(out, want+"\n") || code != 1 {
				t.Errorf("%d, it does not say %s:\n%s", code, want, out)
			}
		}
		if !strings.Contains(out, fmt.Sprintf(" of %d letters are not sent again", letters)) || len(s.letters()) != letters {
			t.Errorf("there were %d letters, and are %d:\n%s", letters, len(s.letters()), out)
		}
		if got := s.copied(); got != "1 fits, 2 fits, 6 fits; 1 of b" {
			t.Errorf("a copy has %s", got)
		}
	}
	s.execute("INSERT INTO a VALUES (3, 3, 'again'), (7, 7, 'last')", "UPDATE a SET v = 'more' WHERE id = 1", "DELETE FROM a WHERE id = 2")
	s.recovered()
	if got := s.copied(); got != "1 more, 3 again, 6 fits, 7 last; 1 of b" {
		t.Errorf("a copy has %s", got)
	}
	s.relay.stop()
}

// letters that are on the bus.
func (s *trial) letters() []bus.Message {
	return slices.DeleteFunc(s.present(), func(m bus.Message) bool { return m.Topic != "cdc.dead" })
}

// copied is what a copy of a has, and how many rows that of b, where dead letters are passed over.
func (s *trial) copied() string {
	s.t.Helper()
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	reader, applier := cdc.NewTopicReader(schemas), cdc.NewTopicApplier(cdc.NewMemoryState())
	applier.WholeOld = true
	applier.OnLost = func(*cdc.TopicMessage, *cdc.LostError) error { return nil }
	for i, m := range s.present() {
		r := &cdc.TopicRecord{Topic: m.Topic, Partition: m.Partition, Sequence: uint64(i) + 1, Key: m.Key, Value: m.Value}
		if s.b.single() {
			r.Stream = "CDC"
		}
		for _, h := range m.Headers {
			r.Headers = append(r.Headers, cdc.TopicHeader(h))
		}
		message, err := reader.Read(r)
		if err == nil {
			err = applier.Apply(s.ctx, message)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	rows := map[string][]string{}
	for _, relation := range []string{"public.a", "public.b"} {
		err := applier.Rows(s.ctx, relation, func(table *cdc.Table, row cdc.Row) error {
			var text []string
			for _, name := range []string{"id", "v"} {
				c := table.ColumnNamed(name)
				if c == nil {
					continue
				}
				v, _, err := row.Find(c.Number)
				if err != nil {
					return err
				}
				rendered, err := c.AppendJSON(nil, v)
				if err != nil {
					return err
				}
				text = append(text, strings.Trim(string(rendered), `"`))
			}
			rows[relation] = append(rows[relation], strings.Join(text, " "))
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	slices.Sort(rows["public.a"])
	return fmt.Sprintf("%s; %d of b", strings.Join(rows["public.a"], ", "), len(rows["public.b"]))
}
