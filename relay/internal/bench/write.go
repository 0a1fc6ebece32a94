package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// write commits rows at times that are fixed in advance, and tells how long it took.
func write(ctx context.Context, s *settings, total int, committing func(n int)) (time.Duration, error) {
	began := time.Now()
	errs := make(chan error, s.writers+1)
	var writers sync.WaitGroup
	for w := range s.writers {
		writers.Go(func() { errs <- writer(ctx, s, w, total, began, committing) })
	}
	changing, stop := context.WithCancel(ctx)
	var changer sync.WaitGroup
	if s.ddl {
		changer.Go(func() { errs <- change(changing, s) })
	}
	writers.Wait()
	took := time.Since(began)
	stop()
	changer.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return took, err
		}
	}
	return took, nil
}

func writer(ctx context.Context, s *settings, self, total int, began time.Time, committing func(n int)) error {
	conn, err := pgx.Connect(ctx, s.conn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	text := payload(s.payload)
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	for i := self; i < total; i += s.writers {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(s.rate))))
		if _, err := conn.Exec(ctx, "INSERT INTO bench_latency (mark, payload) VALUES ($1, $2)", mark(i), text); err != nil {
			return err
		}
		committing(i)
		if _, err := conn.Exec(ctx, "COMMIT AND CHAIN"); err != nil {
			return err
		}
	}
	return nil
}

func payload(size int) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	text := make([]byte, size)
	for i := range text {
		text[i] = letters[rand.IntN(len(letters))]
	}
	return string(text)
}

// change adds a column and drops it again.
func change(ctx context.Context, s *settings) error {
	conn, err := pgx.Connect(context.Background(), s.conn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	for {
		for _, sql := range [...]string{"ADD COLUMN IF NOT EXISTS more text", "DROP COLUMN IF EXISTS more"} {
			if _, err := conn.Exec(context.Background(), "ALTER TABLE bench_latency "+sql); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}
