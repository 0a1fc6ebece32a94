package libpq

import (
	"context"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// dialing sets up sockets as the words say.
func dialing(config *pgconn.Config, s settings) error {
	dialer, err := s.dialer()
	if err != nil {
		return err
	}
	userTimeout, err := s.number("tcp_user_timeout", 0)
	if err != nil {
		return err
	}
	peer := s["requirepeer"]
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		switch c := conn.(type) {
		case *net.TCPConn:
			if userTimeout > 0 {
				err = setUserTimeout(c, userTimeout)
			}
		case *net.UnixConn:
			if peer != "" {
				err = checkPeer(c, peer)
			}
		}
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	}
	return nil
}

// dialer keeps connections alive as the words say.
func (s settings) dialer() (*net.Dialer, error) {
	alive, err := s.number("keepalives", 1)
	if err != nil {
		return nil, err
	}
	count, err := s.number("keepalives_count", 0)
	if err != nil {
		return nil, err
	}
	idle, err := s.seconds("keepalives_idle")
	if err != nil {
		return nil, err
	}
	interval, err := s.seconds("keepalives_interval")
	if err != nil {
		return nil, err
	}
	if alive == 0 {
		return &net.Dialer{KeepAlive: -1}, nil
	}
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: idle, Interval: interval, Count: count}}, nil
}
