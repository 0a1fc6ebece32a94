package libpq

import (
	"crypto/tls"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// verifies tells whether a server's certificate is looked at.
func verifies(config *tls.Config) bool {
	return config != nil && (!config.InsecureSkipVerify || config.VerifyPeerCertificate != nil)
}

var tlsVersionNames = map[string]uint16{"": 0, "TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

func tlsVersions(config *pgconn.Config, s settings) error {
	var bounds [2]uint16
	for i, name := range []string{"ssl_min_protocol_version", "ssl_max_protocol_version"} {
		version, ok := tlsVersionNames[s[name]]
		if !ok {
			return &ConfigError{fmt.Sprintf("%s is %q: it can be TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3", name, s[name])}
		}
		bounds[i] = version
	}
	set := func(c *tls.Config) {
		if c != nil {
			c.MinVersion, c.MaxVersion = bounds[0], bounds[1]
		}
	}
	set(config.TLSConfig)
	for _, f := range config.Fallbacks {
		set(f.TLSConfig)
	}
	return nil
}
