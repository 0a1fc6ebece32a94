package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
)

// startServer runs a server in this process.
func startServer(c config.NATS, logger *slog.Logger) (*server.Server, error) {
	host, portText, err := net.SplitHostPort(c.Listen)
	port, err2 := strconv.Atoi(portText)
	if err := errors.Join(err, err2); err != nil {
		return nil, &bus.ConfigError{Message: fmt.Sprintf("nats.listen is %q: host:port is asked for", c.Listen)}
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{ServerName: "cdc-relay", Host: host, Port: port,
		JetStream: true, StoreDir: c.Embedded, NoSigs: true, MaxPayload: 8 << 20})
	if err != nil {
		return nil, fmt.Errorf("the embedded NATS server: %w", err)
	}
	s.SetLoggerV2(serverLog{logger}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("the embedded NATS server does not start: is %s in use?", c.Listen)
	}
	if addr := s.Addr(); addr != nil {
		logger.Info("the embedded NATS server listens", "address", addr.String(), "folder", c.Embedded)
	}
	return s, nil
}

// URL of the embedded server, "" where there is none.
func (d *Driver) URL() string {
	if d.server == nil {
		return ""
	}
	return d.server.ClientURL()
}

// serverLog has the server's words in the relay's log.
type serverLog struct{ logger *slog.Logger }

func (l serverLog) say(level slog.Level, format string, v []any) {
	l.logger.Log(context.Background(), level, "nats-server: "+strings.TrimSpace(fmt.Sprintf(format, v...)))
}

func (l serverLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l serverLog) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l serverLog) Fatalf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l serverLog) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l serverLog) Debugf(string, ...any)           {}
func (l serverLog) Tracef(string, ...any)           {}

// folderLock keeps a second server out of a folder.
type folderLock struct{ file *os.File }

func lockFolder(folder string) (*folderLock, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(folder, "relay.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, &TakenError{folder}
	}
	return &folderLock{file}, nil
}

// TakenError: another process runs a server in the folder.
type TakenError struct{ Folder string }

// Error implements error.
func (e *TakenError) Error() string {
	return "the folder " + e.Folder + " is in use by another relay"
}

func (l *folderLock) release() { l.file.Close() }
