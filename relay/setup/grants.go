package setup

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/jetstream"
	"github.com/pgcdc/cdc/relay/kafka"
)

// Grants writes the least that a relay must be allowed, at the server and at the bus. only is the
// side that is asked for, "" for both; reading: with what the commands need that look at the bus. It
// connects to nothing.
func Grants(c *config.Config, only string, reading bool, w io.Writer) error {
	if only != "" && only != "postgres" && only != c.Bus() {
		return fmt.Errorf("the settings are for postgres and %s, not for %s", c.Bus(), only)
	}
	if only == "" || only == "postgres" {
		if err := grantsOfPostgres(c, w); err != nil {
			return err
		}
	}
	switch {
	case only == "postgres":
		return nil
	case c.Bus() == "kafka":
		return grantsOfKafka(c, reading, w)
	}
	return grantsOfNATS(c, reading, w)
}

// grantsOfPostgres writes SQL for a superuser.
func grantsOfPostgres(c *config.Config, w io.Writer) error {
	parsed, err := pgx.ParseConfig(c.Postgres.Conn)
	if err != nil {
		return fmt.Errorf("postgres.conn: %w", err)
	}
	role := pgx.Identifier{parsed.User}.Sanitize()
	fmt.Fprintf(w, "-- PostgreSQL: as a superuser in the database %s\n", parsed.Database)
	if c.Postgres.Transport == "fetch" {
		fmt.Fprintf(w, "CREATE ROLE %s LOGIN;  -- unless it is there\nGRANT USAGE ON SCHEMA cdc TO %[1]s;\nGRANT EXECUTE ON FUNCTION cdc.fetch TO %[1]s;\n", role)
	} else {
		fmt.Fprintf(w, "CREATE ROLE %s LOGIN REPLICATION;  -- trusted with the cluster; if it is there: ALTER ROLE ... REPLICATION\n", role)
	}
	switch {
	case c.Postgres.Transport == "fetch":
		fmt.Fprintf(w, "SELECT * FROM cdc.create_slot(%s, reader => %s%s);\n", literal(c.Postgres.Slot), literal(parsed.User), stored(c.Postgres.Options))
	case !c.Postgres.CreateSlot:
		fmt.Fprintf(w, "SELECT * FROM cdc.create_slot(%s);\n", literal(c.Postgres.Slot))
	}
	tables, err := grantsOfTables(c.Postgres.Options, literal(role))
	if err != nil {
		return err
	}
	fmt.Fprint(w, tables, grantsOfMessages(c.Postgres.Options["messages"], literal(role)), grantsOfLoads(c, role), "\n")
	return nil
}

// stored has options be those of a slot that is bound to its reader, who may not give them.
func stored(options map[string]string) string {
	if len(options) == 0 {
		return ""
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(options)) {
		list = append(list, literal(name), literal(options[name]))
	}
	return ", /* then take them out of the relay's settings: */ options => ARRAY[" + strings.Join(list, ", ") + "]"
}

// grantsOfTables is SQL that gives what the options select.
func grantsOfTables(options map[string]string, role string) (string, error) {
	var tables, excluded []pattern
	var err error
	if list := options["tables"]; list != "" {
		if tables, err = patterns(list); err != nil {
			return "", fmt.Errorf("postgres.options.tables: %w", err)
		}
	}
	if list := options["exclude_tables"]; list != "" {
		if excluded, err = patterns(list); err != nil {
			return "", fmt.Errorf("postgres.options.exclude_tables: %w", err)
		}
	}
	publications := options["publication_names"]
	if len(tables) > 0 && len(excluded) == 0 && publications == "" && !slices.ContainsFunc(tables, func(p pattern) bool { return !p.exact() }) {
		var b strings.Builder
		for _, p := range tables {
			fmt.Fprintf(&b, "SELECT cdc.grant_read(%s, %s);\n", literal(p.relation()), role)
		}
		return b.String(), nil
	}
	return selected(tables, excluded, publications, role)
}

// selected is a query that grants whatever there is now.
func selected(tables, excluded []pattern, publications, role string) (string, error) {
	where := []string{"c.relkind IN ('r', 'p')", "c.relpersistence = 'p'", "n.nspname <> 'cdc'", "n.nspname <> 'information_schema'", "n.nspname !~ '^pg_'"}
	if len(tables) > 0 {
		where = append(where, either(tables))
	}
	if len(excluded) > 0 {
		where = append(where, "NOT "+either(excluded))
	}
	if publications != "" {
		var names []string
		for rest, end := publications, byte(','); end == ','; {
			var found *string
			if found, end, rest = name(rest); found == nil || end == '.' {
				return "", fmt.Errorf("postgres.options.publication_names: %q is no list of names", publications)
			}
			names = append(names, literal(*found))
		}
		where = append(where, "EXISTS (SELECT FROM pg_publication_tables p WHERE p.schemaname = n.nspname AND p.tablename = c.relname AND p.pubname IN ("+strings.Join(names, ", ")+"))")
	}
	return fmt.Sprintf("-- the tables that there are now; again for later ones\nSELECT cdc.grant_read(c.oid, %s) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace\n  WHERE %s;\n",
		role, strings.Join(where, "\n    AND ")), nil
}

// grantsOfMessages is SQL for logical messages, and for what says which trace a transaction is of.
func grantsOfMessages(list, role string) string {
	var b strings.Builder
	for prefix := range strings.SplitSeq(list, ",") {
		switch prefix = strings.TrimSpace(prefix); prefix {
		case "":
		case "*":
			b.WriteString("-- logical messages: the prefixes that are to be sent, each by cdc.grant_read(prefix => ..., role => ...)\n")
		default:
			fmt.Fprintf(&b, "SELECT cdc.grant_read(prefix => %s, role => %s);\n", literal(prefix), role)
		}
	}
	fmt.Fprintf(&b, "SELECT cdc.grant_read(prefix => 'cdc.metadata', role => %s);  -- for the header traceparent\n", role)
	return b.String()
}

// grantsOfLoads is SQL for reading tables, which is by functions of the extension, whatever transport the stream has.
func grantsOfLoads(c *config.Config, role string) string {
	why := "cdc-relay load and replay-dead"
	if c.Relay.Snapshot != "never" {
		why = "relay.snapshot, " + why
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-- to read tables, for %s; who uses none of them can leave it out\n", why)
	if c.Postgres.Transport != "fetch" {
		fmt.Fprintf(&b, "GRANT USAGE ON SCHEMA cdc TO %s;\n", role)
	}
	fmt.Fprintf(&b, "GRANT EXECUTE ON FUNCTION cdc.snapshot, cdc.snapshot_chunks TO %s;\n", role)
	return b.String()
}

// grantsOfKafka writes the ACLs, as a list and as commands.
func grantsOfKafka(c *config.Config, reading bool, w io.Writer) error {
	principal, err := kafkaPrincipal(&c.Kafka)
	if err != nil {
		return err
	}
	acls := kafka.ACLs(&c.Kafka, c.Relay.Prefix, c.Postgres.Slot, reading)
	fmt.Fprintf(w, "# Kafka: %s needs\n", principal)
	for _, a := range acls {
		how := ""
		if a.Prefixed {
			how = " (prefixed)"
		}
		fmt.Fprintf(w, "#   %s on %s %s%s\n", strings.Join(a.Operations, ", "), a.Resource, a.Name, how)
	}
	for _, a := range acls {
		how := ""
		if a.Prefixed {
			how = " --resource-pattern-type prefixed"
		}
		fmt.Fprintf(w, "kafka-acls.sh --bootstrap-server %s --command-config admin.properties --add --allow-principal %s --operation %s --%s %s%s\n",
			quote(c.Kafka.Brokers[0]), quote(principal), strings.Join(a.Operations, " --operation "), a.Resource, quote(a.Name), how)
	}
	return nil
}

// kafkaPrincipal is whom the broker takes the relay for.
func kafkaPrincipal(c *config.Kafka) (string, error) {
	switch {
	case c.SASL != "none":
		return "User:" + c.User, nil
	case c.Cert == "":
		return "User:ANONYMOUS", nil
	}
	content, err := os.ReadFile(c.Cert)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return "", errors.New("kafka.cert: no certificate is in " + c.Cert)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("kafka.cert: %w", err)
	}
	return "User:" + certificate.Subject.String(), nil
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// grantsOfNATS writes a user as the server's configuration has them.
func grantsOfNATS(c *config.Config, reading bool, w io.Writer) error {
	if c.NATS.Embedded != "" {
		fmt.Fprintln(w, "# NATS: the server inside of the relay has no users")
		return nil
	}
	user := "cdc-relay"
	if u, err := url.Parse(strings.Split(c.NATS.URL, ",")[0]); err == nil && u.User != nil && u.User.Username() != "" {
		user = u.User.Username()
	}
	publish, subscribe := jetstream.Permissions(&c.NATS, c.Relay.Prefix, reading)
	fmt.Fprintf(w, "# NATS: the user among those of the server or of an account, with a password of its own\n{\n  user: %q\n  permissions: {\n", user)
	fmt.Fprintf(w, "    publish: { allow: [\n      \"%s\"\n    ] }\n    subscribe: { allow: [\"%s\"] }\n  }\n}\n", strings.Join(publish, "\",\n      \""), strings.Join(subscribe, `", "`))
	fmt.Fprintf(w, "# or, where users have JWTs\n# nsc edit user --name %s --allow-pub %s --allow-sub %s\n", quote(user), quote(strings.Join(publish, ",")), quote(strings.Join(subscribe, ",")))
	return nil
}
