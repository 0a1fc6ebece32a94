//go:build !linux

package libpq

import "net"

// As libpq does where there is no such option.
func setUserTimeout(*net.TCPConn, int) error { return nil }

func checkPeer(*net.UnixConn, string) error {
	return &ConfigError{"requirepeer is not supported on this system"}
}
