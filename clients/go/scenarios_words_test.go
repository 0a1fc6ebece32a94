package cdc_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgcdc/cdc/clients/go"
)

var _ = addScenarios(map[string]func(*testing.T){
	"words-all":          wordsAll,
	"words-system-roots": wordsSystemRoots,
	"words-half-pair":    wordsHalfPair,
	"words-passfile":     wordsPassfile,
	"words-require-auth": wordsRequireAuth,
	"words-requirepeer":  wordsRequirepeer,
	"words-gss":          func(t *testing.T) { refusedWords(t, "gssencmode=require", "gssencmode") },
	"words-tls-versions": wordsTLSVersions,
	"plain-warning":      plainWarning,
	"conforming-strings": conformingStrings,
})

func serverSocket() string { return filepath.Join(os.Getenv("PGHOST"), ".s.PGSQL.5432") }

// journal is a log for tests.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// refusedWords wants an error before anything is connected to, in both forms and from
// both sides of a service.
func refusedWords(t *testing.T, pair, words string) {
	t.Helper()
	for _, conninfo := range []string{"host=127.0.0.1 " + pair, "postgres://127.0.0.1/x?" + pair} {
		if _, err := cdc.ParseForTest(conninfo, nil); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", conninfo, err)
		}
	}
}

// Values with which a word is tried, and with which an honoured one is refused.
var tried = map[string]string{"service": "", "servicefile": "", "connect_timeout": "7", "port": "5433", "client_encoding": "utf-8", "keepalives": "1",
	"keepalives_idle": "1", "keepalives_interval": "1", "keepalives_count": "1", "tcp_user_timeout": "1", "sslmode": "require",
	"sslnegotiation": "postgres", "sslcertmode": "allow", "channel_binding": "prefer", "require_auth": "password", "min_protocol_version": "3.0",
	"max_protocol_version": "3.2", "ssl_min_protocol_version": "TLSv1.2", "ssl_max_protocol_version": "TLSv1.3", "gssencmode": "prefer",
	"target_session_attrs": "any", "load_balance_hosts": "random", "sslsni": "1", "sslrootcert": "system", "sslcert": "", "sslkey": "", "dbname": "x",
	"hostaddr": "127.0.0.1", "sslcrl": "", "sslcrldir": ""}

func wordsAll(t *testing.T) {
	doc, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range cdc.WordsForTest() {
		name, env, does := w[0], w[1], w[2]
		line := "| "
		for _, word := range w[:2] {
			if word != "" {
				line += "`" + word + "` "
			}
			line += "| "
		}
		if !strings.Contains(string(doc), line+does+" |") {
			t.Errorf("docs/clients.md does not have %q", line+does)
		}
		value, ok := tried[name]
		if !ok {
			value = "x"
		}
		if name == "host" {
			value = "127.0.0.1"
		}
		if value == "" {
			continue
		}
		if name != "" && name != "datestyle" && name != "timezone" && name != "geqo" {
			_, err := cdc.ParseForTest("host=127.0.0.1 "+name+"="+value, nil)
			if (err != nil) != (does == "refused") || err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
		if env != "" {
			t.Run(env, func(t *testing.T) {
				if env == "PGSYSCONFDIR" {
					t.Setenv("PGSERVICE", "x")
				}
				t.Setenv(env, value)
				_, err := cdc.ParseForTest("host=127.0.0.1 user=x", nil)
				if (err != nil) != (does == "refused") || err != nil && !strings.Contains(err.Error(), strings.ToLower(name)) {
					t.Errorf("%s=%s: %v", env, value, err)
				}
			})
		}
	}
	refusedWords(t, "no_such_word=1", "no_such_word")
	refusedWords(t, "client_encoding=latin1", "client_encoding")
	refusedWords(t, "load_balance_hosts=maybe", "load_balance_hosts")
	service := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(service, []byte("[s]\nhost=127.0.0.1\nsslkeylogfile=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGSERVICEFILE", service)
	refusedWords(t, "service=s", "sslkeylogfile")
	refusedWords(t, "sslcrl=/no/such/file", "sslcrl")
	config, err := cdc.ParseForTest("host=127.0.0.1 user=x fallback_application_name='it''s' keepalives=1", nil)
	if err == nil { // two quotes are no escape: libpq has backslashes
		t.Error(config.RuntimeParams)
	}
	config, err = cdc.ParseForTest(`host=127.0.0.1 user=x fallback_application_name='a b\'c'`, nil)
	if err != nil || config.RuntimeParams["application_name"] != "a b'c" || config.RuntimeParams["keepalives"] != "" {
		t.Error(config, err)
	}
	t.Setenv("PGDATESTYLE", "German")
	if config, err = cdc.ParseForTest("postgres://u:p%3Fq@127.0.0.1:1,h2:2/d?connect_timeout=4", nil); err != nil ||
		config.ConnectTimeout != 4*time.Second || config.RuntimeParams["datestyle"] != "German" || len(config.Fallbacks) == 0 {
		t.Error(config, err)
	}
}

// pretendTLS is a server that takes TLS up to a version, with a certificate that it makes
// in a directory.
func pretendTLS(t *testing.T, dir string, maxVersion uint16, use func(secure *tls.Conn)) (port string, pair tls.Certificate) {
	t.Helper()
	certificate(t, dir)
	pair, err := tls.LoadX509KeyPair(dir+"/server.crt", dir+"/server.key")
	if err != nil {
		t.Fatal(err)
	}
	port = pretend(t, func(conn net.Conn) {
		defer conn.Close()
		if _, err := conn.Read(make([]byte, 8)); err != nil {
			return
		}
		_, _ = conn.Write([]byte{'S'})
		use(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: maxVersion}))
	})
	return port, pair
}

// A name that nobody resolves is reached by its address, and a certificate that its
// issuer has revoked is not trusted.
func TestAddressAndRevocation(t *testing.T) {
	dir := t.TempDir()
	port, pair := pretendTLS(t, dir, 0, func(secure *tls.Conn) {
		backend := greet(secure)
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28000", Message: "so far so good"})
		_ = backend.Flush()
	})
	conninfo := "host=localhost hostaddr=127.0.0.1 sslmode=verify-full user=x sslrootcert=" + dir + "/server.crt port=" + port
	config := cdc.Config{Slot: "s", ReadOnly: true, Conn: conninfo}
	failsWithin(t, 10*time.Second, config, "so far so good")
	config.Conn = strings.Replace(conninfo, "localhost", "no.such.host.invalid", 1)
	failsWithin(t, 10*time.Second, config, "certificate is valid for localhost")
	for words, serial := range map[string]int64{"is revoked": 1, "so far so good": 2} {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(serial), RevocationTime: time.Now()}}},
			issuer(t, dir), pair.PrivateKey.(crypto.Signer))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "crl")
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		config.Conn = conninfo + " sslcrl=" + name
		failsWithin(t, 10*time.Second, config, words)
	}
	if _, err := cdc.ParseForTest("host=a,b hostaddr=127.0.0.1 user=x", nil); err == nil {
		t.Error("two hosts with one address")
	}
}

func issuer(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(dir + "/server.crt")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wordsSystemRoots(t *testing.T) {
	config, err := cdc.ParseForTest("host=localhost user=x sslrootcert=system", nil)
	if err != nil || config.TLSConfig == nil || config.TLSConfig.InsecureSkipVerify || config.TLSConfig.ServerName != "localhost" || len(config.Fallbacks) != 0 {
		t.Error(err)
	}
	refusedWords(t, "sslrootcert=system&sslmode=require", "")
	if _, err := cdc.ParseForTest("host=localhost user=x sslrootcert=system sslmode=require", nil); err == nil {
		t.Error("sslmode=require with the system's roots")
	}
}

func wordsHalfPair(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	certificate(t, os.Getenv("HOME"))
	refusedWords(t, "sslcert="+os.Getenv("HOME")+"/server.crt", "sslkey")
}

func wordsPassfile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pass")
	for mode, want := range map[os.FileMode]string{0o600: "secret", 0o640: "", 0o604: ""} {
		if err := os.WriteFile(name, []byte("*:*:*:*:secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		for _, conninfo := range []string{"host=127.0.0.1 user=x passfile=" + name, "postgres://x@127.0.0.1/d?passfile=" + name} {
			log := &journal{}
			config, err := cdc.ParseForTest(conninfo, log.logger())
			if err != nil || config.Password != want || (want == "") != strings.Contains(log.String(), "passfile") {
				t.Errorf("%o: %q, %v, %s", mode, config.Password, err, log)
			}
		}
		t.Setenv("PGPASSFILE", name)
		if config, err := cdc.ParseForTest("host=127.0.0.1 user=x", nil); err != nil || config.Password != want {
			t.Errorf("%o: %v", mode, err)
		}
		os.Unsetenv("PGPASSFILE")
	}
}

func wordsRequireAuth(t *testing.T) {
	heard := make(chan pgproto3.FrontendMessage, 10)
	clear := pretend(t, func(conn net.Conn) {
		backend := greet(conn)
		backend.Send(&pgproto3.AuthenticationCleartextPassword{})
		_ = backend.Flush()
		_ = backend.SetAuthType(pgproto3.AuthTypeCleartextPassword)
		if m, err := backend.Receive(); err == nil {
			heard <- m
		}
	})
	for _, port := range []string{clear, answers(t, nil)} {
		for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
			failsWithin(t, 10*time.Second, cdc.Config{Slot: "s", ReadOnly: true, Transport: transport,
				Conn: "host=127.0.0.1 sslmode=disable user=x password=y require_auth=scram-sha-256 port=" + port}, "authentication")
		}
	}
	select {
	case m := <-heard:
		if _, ok := m.(*pgproto3.PasswordMessage); ok {
			t.Error("the password was sent in clear")
		}
	case <-time.After(100 * time.Millisecond):
	}
}

func wordsRequirepeer(t *testing.T) {
	d := live(t)
	d.makeSlot()
	failsWithin(t, 10*time.Second, cdc.Config{Slot: d.slot(), ReadOnly: true, Conn: "requirepeer=nobody dbname=" + d.name}, "requirepeer")
}

func wordsTLSVersions(t *testing.T) {
	port, _ := pretendTLS(t, t.TempDir(), tls.VersionTLS12, func(secure *tls.Conn) { _ = secure.Handshake() })
	failsWithin(t, 10*time.Second, cdc.Config{Slot: "s", ReadOnly: true,
		Conn: "host=127.0.0.1 sslmode=require user=x ssl_min_protocol_version=TLSv1.3 port=" + port}, "protocol version")
}

func plainWarning(t *testing.T) {
	d := live(t)
	d.makeSlot()
	p := newProxy(t)
	for conninfo, want := range map[string]int{"host=127.0.0.1 port=" + p.port + " dbname=" + d.name: 1, "dbname=" + d.name: 0} {
		log := &journal{}
		config := cdc.Config{Slot: d.slot(), ReadOnly: true, Conn: conninfo, Logger: log.logger(), MaxBackoff: 50 * time.Millisecond}
		stream := d.open(config)
		for range 3 {
			d.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name = '" + d.slot() + "'")
			time.Sleep(200 * time.Millisecond)
			eventually(t, "connected", d.active)
		}
		if err := stream.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "not secured by TLS"); n != want {
			t.Errorf("%s: %d warnings in %s", conninfo, n, log)
		}
		eventually(t, "the slot is free", func() bool { return !d.active() })
	}
}

func conformingStrings(t *testing.T) {
	d := live(t)
	d.exec(`ALTER DATABASE "` + d.name + `" SET standard_conforming_strings = off`)
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		_, err := cdc.Open(context.Background(), cdc.Config{Slot: `a\'b`, ReadOnly: true, Conn: "dbname=" + d.name, Transport: transport})
		if err == nil || !strings.Contains(err.Error(), "there is no slot") && !strings.Contains(err.Error(), "not exist") {
			t.Error(err)
		}
	}
}
