// Command compare measures what it costs a process to read one and the same WAL
// through cdc and its client, through pgoutput and pglogrepl, and through wal2json and
// encoding/json: CPU time of the client alone, time that passes, allocations. See
// RESULTS.md.
//
//	cd clients/go/bench/compare && go run .
//
// libpq's environment names a server with wal_level = logical, the extension cdc and
// wal2json. A database cdc_compare is made there, and dropped at the end. Nothing is
// acknowledged while it is measured, so that all read the same again and again, each
// in a process of its own, one after the other.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// result of reading all changes once.
type result struct {
	CPU, Wall float64 // seconds
	Allocs    uint64
	Bytes     uint64 // allocated
	tally
}

// tally is what must be the same for all.
type tally struct {
	Events, Values int
	Quantity       int64 // a sum; 0 where values are not looked at
}

// contender reads changes until it has so many.
type contender struct {
	name string
	read func(ctx context.Context, slot string, events int) (tally, error)
}

// Who takes part, each with the plugin whose slot it reads.
var contenders = []struct {
	contender
	plugin string
}{
	{contender{"cdc, values as they are in the batch", cdcViews}, "cdc"},
	{contender{"cdc, values as any", cdcValues}, "cdc"},
	{contender{"cdc, generated struct", cdcStruct}, "cdc"},
	{contender{"cdc by SQL (TransportFetch), values as any", cdcFetch}, "cdc"},
	{contender{"pglogrepl as in its example (text, any)", pgoutput{values: true, deadlines: true}.read}, "pgoutput"},
	{contender{"pglogrepl, text, values as any", pgoutput{values: true}.read}, "pgoutput"},
	{contender{"pglogrepl, text, struct", pgoutput{}.read}, "pgoutput"},
	{contender{"pglogrepl, binary, values as any", pgoutput{binary: true, values: true}.read}, "pgoutput"},
	{contender{"pglogrepl, binary, struct", pgoutput{binary: true}.read}, "pgoutput"},
	{contender{"wal2json, encoding/json, values as any", wal2json}, "wal2json"},
}

func main() {
	inserts := flag.Int("inserts", 200_000, "rows")
	updates := flag.Int("updates", 100_000, "of those rows, one by one")
	rounds := flag.Int("rounds", 3, "how often each reads all")
	one := flag.Int("one", -1, "measure this contender only, in this process")
	flag.Parse()
	ctx := context.Background()
	if *one >= 0 {
		check(measure(ctx, *one, *inserts+*updates))
		return
	}
	check(prepare(ctx, *inserts, *updates))
	results := make([][]result, len(contenders))
	var err error
	for round := 0; round < *rounds && err == nil; round++ {
		for i := 0; i < len(contenders) && err == nil; i++ {
			var r result
			if r, err = child(i, *inserts, *updates); err == nil {
				err = free(ctx)
				fmt.Fprintf(os.Stderr, "round %d: %-40s %.2f s of CPU, %.2f s\n", round+1, contenders[i].name, r.CPU, r.Wall)
				results[i] = append(results[i], r)
			}
		}
	}
	check(cmp.Or(err, compare(results)))
	check(clean(ctx))
	print(results)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// child measures one in a process of its own.
func child(i, inserts, updates int) (r result, err error) {
	cmd := exec.Command(os.Args[0], "-one", fmt.Sprint(i), "-inserts", fmt.Sprint(inserts), "-updates", fmt.Sprint(updates))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%s: %w", contenders[i].name, err)
	}
	return r, json.Unmarshal(out, &r)
}

// measure writes its result as JSON.
func measure(ctx context.Context, i, events int) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, began := cpuTime(), time.Now()
	t, err := contenders[i].read(ctx, slotOf(contenders[i].plugin), events)
	if err != nil {
		return err
	}
	r := result{Wall: time.Since(began).Seconds(), CPU: cpuTime() - cpu, tally: t}
	runtime.ReadMemStats(&after)
	r.Allocs, r.Bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return json.NewEncoder(os.Stdout).Encode(r)
}

// cpuTime of this process and its collector of garbage, in seconds.
func cpuTime() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// compare sees to it that all have read the same.
func compare(results [][]result) error {
	want := results[1][0].tally
	for i, list := range results {
		for _, r := range list {
			if r.Quantity == 0 {
				r.Quantity = want.Quantity
			}
			if r.tally != want {
				return fmt.Errorf("%s read %+v, not %+v", contenders[i].name, r.tally, want)
			}
		}
	}
	return nil
}

func print(results [][]result) {
	fmt.Println("| reader | CPU seconds, min / median | wall seconds, min / median | events per CPU second | allocations per event | bytes allocated per event |")
	fmt.Println("|---|---:|---:|---:|---:|---:|")
	for i, list := range results {
		r := list[0]
		cpu, wall := spread(list, func(r result) float64 { return r.CPU }), spread(list, func(r result) float64 { return r.Wall })
		fmt.Printf("| %s | %.2f / %.2f | %.2f / %.2f | %.0f | %.2f | %.0f |\n", contenders[i].name, cpu[0], cpu[1], wall[0], wall[1],
			float64(r.Events)/cpu[1], float64(r.Allocs)/float64(r.Events), float64(r.Bytes)/float64(r.Events))
	}
}

// spread gives the least value and the median.
func spread(list []result, of func(result) float64) [2]float64 {
	var values []float64
	for _, r := range list {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return [2]float64{values[0], values[len(values)/2]}
}
