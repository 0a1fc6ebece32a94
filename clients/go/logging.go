package cdc

import "log/slog"

func levelOf(p Policy) slog.Level {
	if p == PolicyStop {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// attrs describe a letter in the log, without its bytes. e is the event, or nil.
func attrs(l *DeadLetter, e *Event) []slog.Attr {
	list := []slog.Attr{slog.String("slot", l.Slot), slog.String("reason", string(l.Reason)), slog.Any("error", l.Err)}
	if !l.Position.IsZero() {
		list = append(list, slog.String("position", l.Position.String()))
	}
	return append(list, About(e)...)
}

// About is what each line of the log about a change has, as far as it is known: relation, fingerprint and
// version. No values.
func About(e *Event) (list []slog.Attr) {
	if e == nil || e.Fingerprint == 0 {
		return nil
	}
	list = append(list, slog.String("fingerprint", e.Fingerprint.String()))
	if t := e.Table(); t != nil {
		list = append(list, slog.String("relation", t.String()))
	}
	if v := e.Version(); v.Major != 0 {
		list = append(list, slog.Uint64("version", uint64(v.Major)))
	}
	return list
}
