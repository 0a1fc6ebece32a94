package libpq

import (
	"fmt"
	"net"
	"os/user"
	"strconv"
	"syscall"
)

const tcpUserTimeout = 18 // TCP_USER_TIMEOUT, which package syscall does not have

// setUserTimeout bounds how long sent bytes may stay unacknowledged, in milliseconds.
func setUserTimeout(c *net.TCPConn, ms int) error {
	return control(c, func(fd int) error { return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpUserTimeout, ms) })
}

// checkPeer compares the user that the server runs as.
func checkPeer(c *net.UnixConn, name string) error {
	var peer *syscall.Ucred
	err := control(c, func(fd int) (err error) {
		peer, err = syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		return err
	})
	if err != nil {
		return err
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(peer.Uid), 10))
	if err != nil {
		return fmt.Errorf("cdc: the user that the server runs as is not known: %w", err)
	}
	if u.Username != name {
		return &ConfigError{fmt.Sprintf("requirepeer is %q, but the server runs as %q", name, u.Username)}
	}
	return nil
}

func control(c syscall.Conn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
