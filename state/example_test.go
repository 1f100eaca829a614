package state_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/state"
)

// A door is published, and followed from another place.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var doors state.Table
	if err := doors.Set("front", "open"); err != nil {
		slog.Error(err.Error())
		return
	}

	l, err := tincan.Listen(ctx, "tcp://127.0.0.1:0")
	if err != nil {
		slog.Error(err.Error())
		return
	}
	s := &state.Server{Table: &doors}
	done := make(chan error)
	go func() { done <- (&service.Server{Drain: -1}).Serve(ctx, l, s.ServeStream) }()

	f, err := state.Follow(l.Addr().String(), nil)
	if err != nil {
		slog.Error(err.Error())
		return
	}
	defer f.Close()
	var now state.Snapshot
	for len(now.Values) < 2 {
		u, err := f.Next(ctx)
		if err != nil {
			slog.Error(err.Error())
			return
		}
		now.Apply(u)
		if u.Snapshot != nil {
			fmt.Println("front is", string(now.Values["front"]))
			_ = doors.Set("back", "closed") // it is a key and a value
		} else {
			fmt.Println(u.Change.Key, "is", string(u.Change.Value))
		}
	}
	cancel()
	if err := <-done; err != nil {
		slog.Error(err.Error())
	}
	// Output:
	// front is "open"
	// back is "closed"
}

// A watcher follows a table of the same process.
func ExampleTable_Watch() {
	var t state.Table
	_ = t.Set("cpu.load1", 0.5)
	_ = t.Set("door", "open")
	w := t.Watch("cpu.")
	defer w.Close()
	u, _ := w.Next(context.Background())
	fmt.Println(u.Snapshot.Seq, len(u.Snapshot.Values))
	for _, load := range []float64{0.6, 0.7, 0.8} {
		_ = t.Set("cpu.load1", load)
	}
	u, _ = w.Next(context.Background()) // it was busy, and is told the latest
	fmt.Println(u.Change.Key, string(u.Change.Value), u.Change.Missed)
	// Output:
	// 2 1
	// cpu.load1 0.8 2
}

// A whole round of values is applied at once: nobody ever sees a part of it.
func ExampleTable_Apply() {
	var t state.Table
	err := t.Apply(map[string]any{"x": 1, "y": 2})
	s := t.Snapshot()
	fmt.Println(err, s.Seq, string(s.Values["x"]), string(s.Values["y"]))
	// Output: <nil> 2 1 2
}
