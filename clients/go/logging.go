package cdc

import "log/slog"

func levelOf(p Policy) slog.Level {
	if p == PolicyStop {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// attrs describe a letter in the log, without its bytes.
func attrs(l *DeadLetter) []slog.Attr {
	list := []slog.Attr{slog.String("slot", l.Slot), slog.String("reason", string(l.Reason)), slog.Any("error", l.Err)}
	if !l.Position.IsZero() {
		list = append(list, slog.String("position", l.Position.String()))
	}
	return list
}
