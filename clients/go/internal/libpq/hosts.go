package libpq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// hasHost tells whether a URL names a host before its query.
func hasHost(conninfo string) bool {
	rest := afterUser(conninfo)
	return isURL(conninfo) && rest != "" && rest[0] != '/' && rest[0] != '?'
}

// resolve has names of hosts looked up in a list of addresses, one for each.
func resolve(config *pgconn.Config, addresses []string) error {
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		if f.Host != hosts[len(hosts)-1] {
			hosts = append(hosts, f.Host)
		}
	}
	if len(hosts) != len(addresses) {
		return &ConfigError{fmt.Sprintf("hostaddr has %d addresses for %d hosts", len(addresses), len(hosts))}
	}
	known := map[string]string{}
	for i, host := range hosts {
		known[host] = strings.TrimSpace(addresses[i])
	}
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		if known[host] == "" {
			return nil, fmt.Errorf("cdc: hostaddr has no address of %q", host)
		}
		return []string{known[host]}, nil
	}
	return nil
}

// shuffle puts hosts into any order; the attempts at one stay together.
func shuffle(config *pgconn.Config) {
	first := &pgconn.FallbackConfig{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}
	var hosts [][]*pgconn.FallbackConfig
	for _, f := range append([]*pgconn.FallbackConfig{first}, config.Fallbacks...) {
		if n := len(hosts); n > 0 && hosts[n-1][0].Host == f.Host && hosts[n-1][0].Port == f.Port {
			hosts[n-1] = append(hosts[n-1], f)
		} else {
			hosts = append(hosts, []*pgconn.FallbackConfig{f})
		}
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	var all []*pgconn.FallbackConfig
	for _, h := range hosts {
		all = append(all, h...)
	}
	config.Host, config.Port, config.TLSConfig = all[0].Host, all[0].Port, all[0].TLSConfig
	config.Fallbacks = all[1:]
}
