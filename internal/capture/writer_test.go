package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestManyConnections records at once from many goroutines, 10 MB in all.
func TestManyConnections(t *testing.T) {
	const conns, size = 200, 50_000
	data := pattern(size)
	path := recordFile(t, func(w *Writer) {
		var all sync.WaitGroup
		for i := range conns {
			c := w.Connection(Stream, unix(fmt.Sprint("client", i)), tcp("127.0.0.1:7000"))
			for _, from := range []Side{First, Second} {
				all.Go(func() {
					for at := 0; at < size; at += 10_000 {
						c.Data(from, []byte(data[at:at+10_000]))
					}
					c.End(from)
				})
			}
			defer c.Close()
		}
		all.Wait()
	})
	r := readFile(t, path)
	if len(r.Flows) != conns {
		t.Fatalf("%d flows", len(r.Flows))
	}
	for i, f := range r.Flows {
		if want := fmt.Sprint("unix:client", i); f.Name[First] != want {
			t.Fatalf("flow %d is of %s", i, f.Name[First])
		}
		var sent [2]string
		ended := 0
		for _, s := range steps(f) {
			sent[s.From] += s.Data
			if s.Op == End {
				ended++
			}
		}
		if sent != [2]string{data, data} || ended != 2 || f.Missing != [2]int64{} {
			t.Fatalf("flow %d: %d and %d bytes, %d ends, missing %v", i, len(sent[0]), len(sent[1]), ended, f.Missing)
		}
	}
}

// TestSameAddresses shows that connections that look alike stay apart, at the same time and one after the other.
func TestSameAddresses(t *testing.T) {
	for _, kind := range []Kind{Stream, Messages} {
		t.Run(kind.String(), func(t *testing.T) {
			a, b := tcp("127.0.0.1:1"), tcp("127.0.0.1:2")
			if kind == Messages {
				a, b = udp("127.0.0.1:1"), udp("127.0.0.1:2")
			}
			path := recordFile(t, func(w *Writer) {
				one, two, self := w.Connection(kind, a, b), w.Connection(kind, a, b), w.Connection(kind, a, a)
				for i, c := range []*Connection{one, two, self} {
					c.Data(First, fmt.Append(nil, i))
					c.Data(Second, fmt.Append(nil, i))
					c.Close()
				}
				three := w.Connection(kind, a, b)
				three.play([]step{{First, Data, "3"}, {Second, Data, "3"}})
			})
			flows := readFile(t, path).Flows
			if len(flows) != 4 {
				t.Fatalf("%d flows", len(flows))
			}
			for i, f := range flows {
				want := fmt.Sprint(i)
				if s := steps(f); len(s) != 2 || s[0] != (step{First, Data, want}) || s[1] != (step{Second, Data, want}) {
					t.Errorf("flow %d: %v", i, s)
				}
			}
		})
	}
}

// TestDiskFull shows that a full disk ends the recording with one error, and nothing else.
func TestDiskFull(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is Linux's")
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var errs []error
	// What is written at first fits, then comes the full device.
	w, err := newWriter(&filling{sink: &sink{}, room: 4096, then: f}, &Options{Wait: time.Hour, OnError: func(err error) { errs = append(errs, err) }})
	if err != nil {
		t.Fatal(err)
	}
	c := w.Connection(Stream, nil, nil)
	block := []byte(pattern(1 << 20))
	for range 100 {
		c.Data(First, block) // which would wait for an hour, were the writer not gone
	}
	c.End(First)
	err = w.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close: %v", err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], syscall.ENOSPC) {
		t.Errorf("OnError was told %v", errs)
	}
	if again := w.Close(); again != err { // the very same
		t.Errorf("Close again: %v", again)
	}
	if _, err := Create("/dev/full", nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Create: %v", err)
	}
}

// TestFullDiskEndsWithPacket shows that the recording that a full disk ends, wherever that is, is whole as far as it goes.
func TestFullDiskEndsWithPacket(t *testing.T) {
	const size = 100
	last := -1
	for room := 300; last < 20; room += 7 {
		disk := &smallDisk{room: room}
		w, err := newWriter(disk, &Options{Wait: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		c := w.Connection(Stream, nil, nil)
		for range 20 {
			c.Data(First, []byte(pattern(size)))
		}
		if err := w.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("room for %d bytes: %v", room, err)
		}
		r, err := Read(&disk.Buffer)
		if err != nil {
			t.Fatalf("room for %d bytes: %v", room, err)
		}
		got := 0
		if len(r.Flows) > 0 {
			got = int(r.Flows[0].Bytes(First)) / size
		}
		if got < last {
			t.Errorf("room for %d bytes: %d messages, and %d with less", room, got, last)
		}
		last = got
	}
}

// smallDisk takes what there is room for.
type smallDisk struct {
	sink
	room int
}

func (d *smallDisk) Write(p []byte) (int, error) {
	if n := d.room - d.Len(); n < len(p) {
		_, _ = d.sink.Write(p[:n])
		return n, syscall.ENOSPC
	}
	return d.sink.Write(p)
}

func (d *smallDisk) Truncate(size int64) error {
	d.Buffer.Truncate(int(size))
	return nil
}

// filling is a disk with little room.
type filling struct {
	*sink
	room int
	then *os.File
}

func (f *filling) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return f.then.Write(p)
	}
	return f.sink.Write(p)
}

func (f *filling) Close() error { return f.then.Close() }

// stuck is a disk that stands still from the second write on until it is let go.
type stuck struct {
	sink
	writes  int
	stands  chan struct{} // gets a value when it stands still
	release chan struct{}
}

func newStuck() *stuck {
	return &stuck{stands: make(chan struct{}, 1), release: make(chan struct{})}
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.writes++; s.writes > 1 {
		select {
		case s.stands <- struct{}{}:
		default:
		}
		<-s.release
	}
	return s.sink.Write(p)
}

// lossy records on a disk that stands still until something is lost, and gives the file.
func lossy(t *testing.T) []byte {
	t.Helper()
	disk := newStuck()
	w, err := newWriter(disk, &Options{Buffer: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	c := w.Connection(Stream, nil, nil)
	c.Data(First, []byte("before"))
	<-disk.stands
	block := []byte(pattern(10_000))
	for w.Lost().Events < 3 {
		c.Data(Second, block)
	}
	c.Data(First, block) // the queue is as full as it was
	lost := w.Lost()
	if lost.Events != 4 || lost.Bytes != 40_000 {
		t.Fatalf("lost %+v", lost)
	}
	late := w.Connection(Stream, nil, nil) // may find room in the reserve
	close(disk.release)
	for {
		w.mu.Lock()
		room := w.fits(1000, w.limit/2)
		w.mu.Unlock()
		if room {
			break
		}
		runtime.Gosched()
	}
	c.Data(First, []byte("after"))
	c.End(Second)
	late.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return disk.Bytes()
}

// TestLost shows that traffic that the disk can't follow is lost, and that the file tells how much.
func TestLost(t *testing.T) {
	r, err := Read(bytes.NewReader(lossy(t)))
	if err != nil {
		t.Fatal(err)
	}
	f := r.Flows[0]
	if f.Missing != [2]int64{10_000, 30_000} {
		t.Errorf("missing %v", f.Missing)
	}
	if r.Dropped < 4 {
		t.Errorf("dropped %d", r.Dropped)
	}
	if _, err := Replay(t.Context(), f, nil, nil); !errors.Is(err, ErrIncomplete) {
		t.Errorf("Replay: %v", err)
	}
}

// TestTooLong shows what happens to a message that no datagram carries.
func TestTooLong(t *testing.T) {
	var s sink
	w, err := newWriter(&s, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := w.Connection(Messages, udp("127.0.0.1:1"), unixgram("/x"))
	c.Data(First, make([]byte, maxDatagram+1))
	c.Data(First, make([]byte, maxDatagram))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if lost := w.Lost(); lost != (Lost{Events: 1, Bytes: maxDatagram + 1}) {
		t.Errorf("lost %+v", lost)
	}
	if r, err := Read(&s); err != nil || r.Dropped != 1 || len(r.Flows) != 1 || r.Flows[0].Bytes(First) != maxDatagram {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestWait shows how long a call is held up: as long as the disk stands still, but once and no longer than Wait.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newStuck()
		w, err := newWriter(disk, &Options{Buffer: 64 << 10, Wait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		c := w.Connection(Stream, nil, nil)
		block := make([]byte, 15_000)
		record := func() time.Duration {
			start := time.Now()
			c.Data(First, block)
			return time.Since(start)
		}
		synctest.Wait() // the beginning is on its way to the disk
		if took := record(); took != 0 {
			t.Errorf("with room: %v", took)
		}
		if took := record(); took != time.Second || w.Lost().Events != 1 {
			t.Errorf("without: %v, lost %+v", took, w.Lost())
		}
		if took := record(); took != 0 || w.Lost().Events != 2 {
			t.Errorf("once more: %v, lost %+v", took, w.Lost())
		}
		disk.writes = -1000 // goes on, and stands still no more
		close(disk.release)
		synctest.Wait()
		for range 100 {
			if took := record(); took != 0 {
				t.Errorf("when the disk goes on: %v", took)
			}
			synctest.Wait()
		}
		if w.Lost().Events != 2 {
			t.Errorf("lost %+v", w.Lost())
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWaitEnds shows that Close and room end a wait.
func TestWaitEnds(t *testing.T) {
	for _, end := range []string{"room", "close"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := newStuck()
				w, err := newWriter(disk, &Options{Buffer: 64 << 10, Wait: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				c := w.Connection(Stream, nil, nil)
				synctest.Wait()
				start := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					defer cancel()
					for range 5 {
						c.Data(First, make([]byte, 20_000))
					}
				}()
				synctest.Wait()
				var closed sync.WaitGroup
				if end == "close" {
					closed.Go(func() { _ = w.Close() })
				} else {
					close(disk.release)
				}
				<-ctx.Done()
				if took := time.Since(start); took != 0 {
					t.Errorf("it took %v", took)
				}
				if end == "close" {
					close(disk.release)
				}
				closed.Wait()
				if err := w.Close(); err != nil || w.Lost() != (Lost{}) {
					t.Errorf("%v, lost %+v", err, w.Lost())
				}
			})
		})
	}
}

func TestLabel(t *testing.T) {
	for _, name := range []string{"/a b\nfirst", "@\x00\xff", `"quoted"`, "", strings.Repeat("n", 100_000)} {
		want := label{kind: Messages, number: 7, name: [2]string{nameOf(unix(name)), "x y"}}
		for side := range want.addr {
			want.addr[side] = madeUp(Side(side), 7, side == 0)
		}
		got, ok := parseLabel(want.String())
		want.name[First] = ("unix:" + name)[:min(len("unix:"+name), maxName)]
		if !ok || got != want {
			t.Errorf("%.50q: got %.300v, %v", name, got, ok)
		}
	}
	for _, comment := range []string{"", "tincan", "a\nb\nc", "tincan stream 1\nfirst 1.2.3.4:5 x\nsecond y z", "tincan other 1\nfirst 1.2.3.4:5 x\nsecond 1.2.3.4:5 x"} {
		if _, ok := parseLabel(comment); ok {
			t.Errorf("%q was taken for a label", comment)
		}
	}
}
