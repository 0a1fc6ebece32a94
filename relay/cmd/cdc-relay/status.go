package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/pump"
)

// status asks the relay that is running.
func status(flags *flag.FlagSet) action {
	watching := flags.Bool("watch", false, "ask again and again, and print a line when something has changed")
	return func(ctx context.Context, c *config.Config, w io.Writer) error {
		if c.Admin.Listen == "" {
			return errors.New("admin.listen is empty: the relay cannot be asked")
		}
		if *watching {
			return watch(ctx, c.Admin.Listen, w, 2*time.Second)
		}
		return askStatus(ctx, c.Admin.Listen, w)
	}
}

// askStatus writes the answer as it comes.
func askStatus(ctx context.Context, address string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/status", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no relay answers at %s: %w", address, err)
	}
	defer response.Body.Close()
	_, err = io.Copy(w, response.Body)
	return err
}

// watch asks until ctx ends. A relay that does not answer is a line, too.
func watch(ctx context.Context, address string, w io.Writer, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for last := ""; ; {
		if line := statusLine(ctx, address); line != last && ctx.Err() == nil {
			fmt.Fprintf(w, "%s  %s\n", time.Now().Format(time.TimeOnly), line)
			last = line
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// statusLine has the state, and each table that is loaded.
func statusLine(ctx context.Context, address string) string {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(askStatus(ctx, address, writer)) }()
	defer reader.Close()
	var s pump.Status
	if err := json.NewDecoder(reader).Decode(&s); err != nil {
		return err.Error()
	}
	line := s.State
	if s.Error != "" {
		line += ": " + s.Error
	}
	for _, l := range s.Loads {
		line += fmt.Sprintf("; %s: %s, %d rows", l.Table, l.State, l.Rows)
		if l.Estimated > 0 {
			line += fmt.Sprintf(" of about %d", l.Estimated)
		}
	}
	return line
}
