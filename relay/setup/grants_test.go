package setup

import (
	"strings"
	"testing"

	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

func loaded(t *testing.T, settings ...string) *config.Config {
	t.Helper()
	c, err := config.Load("", append([]string{"CDC_RELAY_POSTGRES_SLOT=s", "CDC_RELAY_POSTGRES_CONN=user=re'lay dbname=d host=h"}, settings...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func printed(t *testing.T, c *config.Config, only string) string {
	t.Helper()
	var b strings.Builder
	if err := Grants(c, only, false, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPatterns(t *testing.T) {
	all, err := patterns(`Public.orders, "My ""Shop"."*".x`)
	if err == nil {
		t.Errorf("three parts: %v", all)
	}
	all, err = patterns(`Public.orders, "My ""Shop"."*",sales.*,*.t`)
	if err != nil || len(all) != 4 {
		t.Fatal(all, err)
	}
	for i, want := range []string{"n.nspname = 'public' AND c.relname = 'orders'", `n.nspname = 'My "Shop' AND c.relname = '*'`, "n.nspname = 'sales'", "c.relname = 't'"} {
		if got := all[i].condition(); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	if got := all[1].relation(); got != `"My ""Shop"."*"` {
		t.Errorf("it is %s", got)
	}
	if _, err := patterns("orders"); err == nil {
		t.Error("a name without a schema was taken")
	}
}

func TestGrantsOfKafka(t *testing.T) {
	certs := verify.NewCerts(t)
	c := loaded(t, "CDC_RELAY_KAFKA_BROKERS=k1:9093,k2:9093", "CDC_RELAY_RELAY_PREFIX=shop", "CDC_RELAY_KAFKA_CERT="+certs.Cert, "CDC_RELAY_KAFKA_KEY="+certs.Key)
	out := printed(t, c, "kafka")
	for _, want := range []string{
		"#   Write, Describe, DescribeConfigs on topic shop. (prefixed)\n", "#   Read on topic shop.checkpoints\n",
		"#   Write, Describe on transactional-id cdc-relay.shop.s\n",
		"kafka-acls.sh --bootstrap-server 'k1:9093' --command-config admin.properties --add --allow-principal 'User:CN=test' " +
			"--operation Write --operation Describe --operation DescribeConfigs --topic 'shop.' --resource-pattern-type prefixed\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not have %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "SELECT") || strings.Contains(out, "Create") {
		t.Errorf("it has too much:\n%s", out)
	}
	c.Kafka.Create = true
	if out := printed(t, c, ""); !strings.Contains(out, "--operation Create") || !strings.Contains(out, `CREATE ROLE "re'lay" LOGIN REPLICATION`) {
		t.Errorf("it says\n%s", out)
	}
	if err := Grants(c, "nats", false, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "postgres and kafka, not for nats") {
		t.Errorf("the error is %v", err)
	}
}

func TestGrantsOfTables(t *testing.T) {
	for _, c := range []struct{ tables, excluded, publications, want string }{
		{"public.a,b.c", "", "", "SELECT cdc.grant_read('\"public\".\"a\"', 'r');\nSELECT cdc.grant_read('\"b\".\"c\"', 'r');\n"},
		{"", "", "", "n.nspname !~ '^pg_';\n"},
		{"public.*", "*.x", "", "AND (n.nspname = 'public')\n    AND NOT (c.relname = 'x');\n"},
		{"", "", `shop,"O'P"`, `p.pubname IN ('shop', 'O''P'));` + "\n"},
	} {
		got, err := grantsOfTables(map[string]string{"tables": c.tables, "exclude_tables": c.excluded, "publication_names": c.publications}, "'r'")
		if err != nil || !strings.HasSuffix(got, c.want) {
			t.Errorf("%+v: %v\n%s", c, err, got)
		}
	}
	if _, err := grantsOfTables(map[string]string{"tables": "orders"}, "'r'"); err == nil {
		t.Error("a wrong list was taken")
	}
}

// Tables are read by functions, whatever transport the stream has.
func TestGrantsOfLoads(t *testing.T) {
	for _, transport := range []string{"replication", "fetch"} {
		for _, snapshot := range []string{"never", "initial"} {
			c := loaded(t, "CDC_RELAY_NATS_URL=nats://n", "CDC_RELAY_POSTGRES_TRANSPORT="+transport, "CDC_RELAY_RELAY_SNAPSHOT="+snapshot)
			out := printed(t, c, "postgres")
			if strings.Count(out, `GRANT USAGE ON SCHEMA cdc TO "re'lay";`) != 1 || !strings.Contains(out, `GRANT EXECUTE ON FUNCTION cdc.snapshot, cdc.snapshot_chunks TO "re'lay";`) ||
				strings.Contains(out, "for relay.snapshot, cdc-relay load") != (snapshot == "initial") {
				t.Errorf("%s, %s:\n%s", transport, snapshot, out)
			}
		}
	}
}
