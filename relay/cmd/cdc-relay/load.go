package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/pgcdc/cdc/relay/config"
)

// loadTables has the arguments be loaded.
func loadTables(flags *flag.FlagSet) action {
	return func(ctx context.Context, c *config.Config, w io.Writer) error {
		return askForLoad(ctx, c, flags.Args(), w)
	}
}

// askForLoad asks the relay that is running to load tables.
func askForLoad(ctx context.Context, c *config.Config, tables []string, w io.Writer) error {
	if len(tables) == 0 {
		return errors.New("load needs names of tables, as SQL has them")
	}
	var relations []string
	if err := ask(ctx, c, "/load", tables, &relations); err != nil {
		return err
	}
	for _, relation := range relations {
		fmt.Fprintf(w, "%s is to be loaded: cdc-relay status tells how far it is\n", relation)
	}
	return nil
}

// ask has the relay that is running do something, and gives its answer.
func ask(ctx context.Context, c *config.Config, path string, question, to any) error {
	if c.Admin.Listen == "" {
		return errors.New("admin.listen is empty: the relay cannot be asked")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.Admin.Listen+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no relay answers at %s: %w", c.Admin.Listen, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(answer)))
	}
	return json.Unmarshal(answer, to)
}
