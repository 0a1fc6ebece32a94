package cdc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// certificate writes a certificate for localhost that signs itself, and its key.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"server.crt": {Type: "CERTIFICATE", Bytes: der}, "server.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TLS with verify-full and a SCRAM password bound to it, over TCP and by URL; what is
// not verified is refused.
func TestTLS(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // finds a port that is free
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	certs := t.TempDir()
	certificate(t, certs)
	c := newCluster(t, "listen_addresses = '127.0.0.1'", fmt.Sprintf("port = %d", port), "ssl = on",
		"ssl_cert_file = '"+certs+"/server.crt'", "ssl_key_file = '"+certs+"/server.key'", "password_encryption = 'scram-sha-256'")
	c.conn += fmt.Sprintf(" port=%d", port)
	conn := c.connect()
	defer conn.Close(context.Background())
	execute(t, conn, "CREATE EXTENSION cdc; CREATE ROLE reader LOGIN REPLICATION PASSWORD 'pass''word'; CREATE ROLE plain LOGIN REPLICATION PASSWORD 'word'; CREATE TABLE t (id int PRIMARY KEY)")
	execute(t, conn, "SELECT pg_create_logical_replication_slot('s', 'cdc')")
	hba := "local all all trust\nhostssl all reader 127.0.0.1/32 scram-sha-256\nhostnossl all plain 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(c.dir+"/data/pg_hba.conf", []byte(hba), 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, conn, "SELECT pg_reload_conf(); GRANT USAGE ON SCHEMA cdc TO reader, plain; GRANT SELECT ON t TO reader")
	url := func(user, host, root, mode string) string {
		return fmt.Sprintf("postgres://%s@%s:%d/postgres?sslmode=%s&sslrootcert=%s", user, host, port, mode, root)
	}
	good := url("reader:pass'word", "localhost", certs+"/server.crt", "verify-full") + "&channel_binding=require"
	open := func(conninfo string) (*cdc.Stream, error) {
		return cdc.Open(timeout(t, 10*time.Second), cdc.Config{Conn: conninfo, Slot: "s",
			Store: cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))})
	}
	var stream *cdc.Stream
	eventually(t, "the settings are read", func() bool { stream, err = open(good); return err == nil })
	execute(t, conn, "INSERT INTO t VALUES (1)")
	if got := lines(t, receive(t, stream)); len(got) != 1 {
		t.Error(got)
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	if stream, err = open(url("plain:word", "localhost", "", "disable")); err != nil { // the password is right
		t.Fatal(err)
	} else if err := stream.Close(); err != nil {
		t.Error(err)
	}
	other := t.TempDir()
	certificate(t, other)
	for what, conninfo := range map[string]string{
		"wrong password":      url("reader:password", "localhost", certs+"/server.crt", "verify-full"),
		"unknown authority":   url("reader:pass'word", "localhost", other+"/server.crt", "verify-full"),
		"name of another one": url("reader:pass'word", "127.0.0.1", certs+"/server.crt", "verify-full"),
		"no TLS":              url("reader:pass'word", "localhost", certs+"/server.crt", "disable"),
		"no channel to bind":  url("plain:word", "localhost", "", "disable") + "&channel_binding=require",
	} {
		if stream, err := open(conninfo); err == nil {
			stream.Close()
			t.Error(what, "is taken")
		}
	}
}
