//go:build !linux

package cdc

import "net"

// As libpq does where there is no such option.
func setUserTimeout(*net.TCPConn, int) error { return nil }

func checkPeer(*net.UnixConn, string) error {
	return &configError{"requirepeer is not supported on this system"}
}
