package libpq

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// revocations are lists of certificates that are not to be trusted any more.
type revocations []*x509.RevocationList

// readRevocations reads sslcrl, a file, or sslcrldir, a directory of such files.
func readRevocations(s settings) (list revocations, err error) {
	var files []string
	if file := s["sslcrl"]; file != "" {
		files = append(files, file)
	}
	if dir := s["sslcrldir"]; dir != "" {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, &ConfigError{"sslcrldir: " + err.Error()}
		}
		for _, e := range entries {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, &ConfigError{"sslcrl: " + err.Error()}
		}
		before := len(list)
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "X509 CRL" {
				continue
			}
			crl, err := x509.ParseRevocationList(block.Bytes)
			if err != nil {
				return nil, &ConfigError{fmt.Sprintf("sslcrl: %s: %v", file, err)}
			}
			list = append(list, crl)
		}
		if len(list) == before {
			return nil, &ConfigError{fmt.Sprintf("sslcrl: %s has no list of revoked certificates", file)}
		}
	}
	return list, nil
}

// check looks up what the server has shown. As with libpq, each certificate must have a
// list by its issuer, and that must not be too old.
func (list revocations) check(state tls.ConnectionState) error {
	for _, c := range state.PeerCertificates {
		if string(c.RawIssuer) == string(c.RawSubject) && c.IsCA && len(state.PeerCertificates) > 1 {
			continue // a root
		}
		found := false
		for _, crl := range list {
			if string(crl.RawIssuer) != string(c.RawIssuer) {
				continue
			}
			if !crl.NextUpdate.IsZero() && time.Now().After(crl.NextUpdate) {
				return errors.New("cdc: the list of revoked certificates (sslcrl) has expired")
			}
			found = true
			for _, r := range crl.RevokedCertificateEntries {
				if r.SerialNumber.Cmp(c.SerialNumber) == 0 {
					return errors.New("cdc: the server's certificate is revoked (sslcrl)")
				}
			}
		}
		if !found {
			return errors.New("cdc: there is no list of revoked certificates (sslcrl) by the issuer of the server's certificate")
		}
	}
	return nil
}

// revoking has TLS configurations look at lists of revoked certificates.
func revoking(config *pgconn.Config, s settings) error {
	list, err := readRevocations(s)
	if err != nil || len(list) == 0 {
		return err
	}
	all := []*tls.Config{config.TLSConfig}
	for _, f := range config.Fallbacks {
		all = append(all, f.TLSConfig)
	}
	for _, c := range all {
		if c == nil {
			continue
		}
		if !verifies(c) {
			return &ConfigError{"sslcrl needs sslmode=verify-ca or verify-full"}
		}
		c.VerifyConnection = list.check
	}
	return nil
}
