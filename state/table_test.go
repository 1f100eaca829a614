package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// valuesOf is a snapshot's values as text.
func valuesOf(values map[string]json.RawMessage) map[string]string {
	m := map[string]string{}
	for k, v := range values {
		m[k] = string(v)
	}
	return m
}

func mustSet(t *testing.T, table *Table, key string, value any) {
	t.Helper()
	if err := table.Set(key, value); err != nil {
		t.Fatal(err)
	}
}

// next is Next of a watcher or a follower.
func next(t *testing.T, f interface {
	Next(context.Context) (Update, error)
},
) Update {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	u, err := f.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestSetDeleteGet(t *testing.T) {
	var table Table
	mustSet(t, &table, "door", "open")
	mustSet(t, &table, "door", "open") // no change
	mustSet(t, &table, "n", 1.5)
	mustSet(t, &table, "nothing", nil)
	if table.Delete("no such") || !table.Delete("n") || table.Delete("n") {
		t.Error("Delete does not tell what was there")
	}
	if v, ok := table.Get("door"); !ok || string(v) != `"open"` {
		t.Errorf("Get gave %s, %v", v, ok)
	}
	if _, ok := table.Get("n"); ok {
		t.Error("a deleted key has a value")
	}
	s := table.Snapshot()
	if diff := cmp.Diff(map[string]string{"door": `"open"`, "nothing": "null"}, valuesOf(s.Values)); diff != "" || s.Seq != 4 || table.Len() != 2 {
		t.Errorf("seq %d, %d keys, values: %s", s.Seq, table.Len(), diff)
	}
}

func TestWhatIsNoKeyOrValue(t *testing.T) {
	table := Table{MaxKey: 4, MaxValue: 6, MaxKeys: 2, MaxBytes: 40}
	for _, key := range []string{"", "12345", "a\x00", "a\n", "\xff"} {
		if err := table.Set(key, 1); !errors.Is(err, ErrKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	for _, value := range []any{"12345", func() {}, json.RawMessage("{"), json.RawMessage("\"\xff\"")} {
		if err := table.Set("k", value); !errors.Is(err, ErrValue) {
			t.Errorf("value %v: %v", value, err)
		}
	}
	mustSet(t, &table, "a", 1)
	mustSet(t, &table, "b", 2)
	if err := table.Set("c", 3); !errors.Is(err, ErrFull) {
		t.Errorf("a key too many: %v", err)
	}
	if err := table.Apply(map[string]any{"a": 7, "c": 3}); !errors.Is(err, ErrFull) {
		t.Errorf("a key too many: %v", err)
	}
	if v, _ := table.Get("a"); string(v) != "1" {
		t.Errorf("a part was applied: %s", v)
	}
	if err := table.Apply(map[string]any{"a": 7, "c": 3}, "b"); err != nil {
		t.Errorf("one goes, one comes: %v", err)
	}
	small := Table{MaxBytes: 20}
	mustSet(t, &small, "a", "12345")
	if err := small.Set("b", "12345"); !errors.Is(err, ErrFull) {
		t.Errorf("bytes too many: %v", err)
	}
}

func TestPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 1, 4, -1)
		list := rapid.SliceOfN(word, 1, 6).Draw(t, "prefixes")
		key := word.Draw(t, "key")
		want := slices.ContainsFunc(list, func(p string) bool { return strings.HasPrefix(key, p) })
		if got := newPrefixes(list).match(key); got != want {
			t.Fatalf("%q matches %q: %v", list, key, got)
		}
	})
	if !newPrefixes(nil).match("a") || !newPrefixes([]string{"b", ""}).match("a") {
		t.Error("no prefix is not every key")
	}
}

// TestWatchersSeeTheState has watchers of all kinds take what they are told at random times, in pieces of random size: each is told in order, every
// matching change is told or counted as missed, and all end with the state.
func TestWatchersSeeTheState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := &Table{}
		type follower struct {
			w       *Watcher
			s       Snapshot
			begun   bool
			told    uint64 // and missed, since the snapshot
			before  uint64 // matching changes before the snapshot
			changes uint64 // matching changes
		}
		var all []*follower
		for _, p := range [][]string{nil, {"a"}, {"b", "ab"}} {
			f := &follower{w: table.Watch(p...)}
			defer f.w.Close()
			all = append(all, f)
		}
		take := func(f *follower, size int) (told bool) {
			b := &batch{}
			if err := f.w.take(b, size); err != nil {
				rt.Fatal(err)
			}
			if b.snapshot {
				f.s.Apply(Update{Snapshot: snapshotOf(b.seq, b.values)})
				f.begun, f.told, f.before = true, 0, f.changes
				return true
			}
			for _, p := range b.changes {
				if p.c.seq <= f.s.Seq {
					rt.Fatalf("change %d after %d", p.c.seq, f.s.Seq)
				}
				if len(f.w.prefixes) == 0 && p.c.seq != f.s.Seq+1+p.missed {
					rt.Fatalf("change %d after %d says %d were missed", p.c.seq, f.s.Seq, p.missed)
				}
				f.s.Apply(Update{Change: p.c.told(p.missed)})
				f.told += 1 + p.missed
				if f.before+f.told > f.changes {
					rt.Fatalf("%d told or missed of %d", f.told, f.changes-f.before)
				}
			}
			return len(b.changes) > 0
		}
		key := rapid.SampledFrom([]string{"a", "aa", "ab", "abc", "b", "c"})
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			before := table.Seq()
			switch k := key.Draw(rt, "key"); rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				_ = table.Set(k, rapid.IntRange(0, 2).Draw(rt, "value"))
			case 1:
				table.Delete(k)
			case 2:
				_ = table.Apply(map[string]any{k: 7, "b": 8}, "a", "c")
			case 3:
				f := all[rapid.IntRange(0, len(all)-1).Draw(rt, "who")]
				if rapid.IntRange(0, 20).Draw(rt, "narrow") == 0 {
					f.w.Narrow(k)
				}
				take(f, rapid.IntRange(1, 300).Draw(rt, "size"))
			}
			for _, f := range all {
				for _, r := range table.log[table.after(before):] {
					if f.w.prefixes.match(r.c.key) {
						f.changes++
					}
				}
			}
		}
		for i, f := range all {
			for take(f, 100) {
			}
			if diff := cmp.Diff(valuesOf(table.Snapshot(f.w.prefixes...).Values), valuesOf(f.s.Values)); diff != "" {
				rt.Errorf("follower %d: %s", i, diff)
			}
			if f.before+f.told != f.changes {
				rt.Errorf("follower %d was told of, or missed, %d of %d", i, f.told, f.changes-f.before)
			}
		}
	})
}

// TestLogIsBounded changes and deletes very many keys while one watcher reads nothing, and one everything.
func TestLogIsBounded(t *testing.T) {
	var table Table
	mustSet(t, &table, "stays", 0)
	stopped, quick := table.Watch(), table.Watch()
	defer stopped.Close()
	defer quick.Close()
	next(t, stopped)
	next(t, quick)
	for i := range 15_000 {
		key := fmt.Sprint("k", i)
		mustSet(t, &table, key, i)
		table.Delete(key)
		mustSet(t, &table, "stays", i+1)
		if i%7 == 0 {
			var b batch
			if err := quick.take(&b, 1<<20); err != nil || b.snapshot {
				t.Fatalf("a watcher that keeps up gets a snapshot, or %v", err)
			}
		}
		if len(table.log) > 4*slack || len(table.entries) > 2*slack {
			t.Fatalf("%d records and %d entries for one key", len(table.log), len(table.entries))
		}
	}
	u := next(t, stopped)
	if u.Snapshot == nil || len(u.Snapshot.Values) != 1 || string(u.Snapshot.Values["stays"]) != "15000" {
		t.Errorf("after very many deletions it is told %+v", u)
	}
	mustSet(t, &table, "new", 1)
	if u := next(t, stopped); u.Change == nil || u.Change.Key != "new" || u.Change.Missed != 0 {
		t.Errorf("then it is told %+v", u)
	}
}

func TestWatcherEnds(t *testing.T) {
	var table Table
	w := table.Watch()
	next(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := w.Next(t.Context())
		done <- err
	}()
	w.Close()
	w.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("when closed: %v", err)
	}
}

func TestWireForms(t *testing.T) {
	var table Table
	mustSet(t, &table, `a "b" <c>`, "<&>\u2028")
	w := table.Watch()
	defer w.Close()
	b := &batch{asLine: true}
	if err := w.take(b, 1); err != nil {
		t.Fatal(err)
	}
	if got, want := string(table.snapshotLine(b)), `{"seq":1,"snapshot":{"a \"b\" <c>":"<&>`+"\u2028"+`"}}`; got != want && got != strings.ReplaceAll(want, "\u2028", `\u2028`) {
		t.Errorf("snapshot object %s", got)
	}
	table.Delete(`a "b" <c>`)
	mustSet(t, &table, "x", json.RawMessage(" {\n\"y\": 1}"))
	b.reset()
	if err := w.take(b, 1<<20); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`{"seq":2,"time":"TIME","key":"a \"b\" <c>","deleted":true}`,
		`{"seq":3,"time":"TIME","key":"x","value":{"y":1},"missed":9}`,
	} {
		p := b.changes[i]
		got := strings.Replace(string(p.c.appendTo(nil, p.missed+uint64(i)*9)), p.c.at.Format(timeFormat), "TIME", 1)
		if got != want {
			t.Errorf("change object %s, want %s", got, want)
		}
		u, err := parseUpdate(p.c.appendTo(nil, 0))
		if err != nil || u.Change.Key != p.c.key || string(u.Change.Value) != string(p.c.value) || u.Change.Deleted() != (p.c.value == nil) ||
			u.Change.Time.Format(timeFormat) != p.c.at.Format(timeFormat) {
			t.Errorf("it is read as %+v, %v", u.Change, err)
		}
	}
}

// TestDeleteTellsOfItsOwnChange: what others change meanwhile is not this key's going.
func TestDeleteTellsOfItsOwnChange(t *testing.T) {
	var table Table
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = table.Set("other", i)
			}
		}
	})
	defer others.Wait()
	defer close(stop)
	for table.Len() == 0 {
		runtime.Gosched()
	}
	for i := range 20_000 {
		if table.Delete("no such") {
			t.Fatalf("call %d reports a key that was never there", i)
		}
	}
}
