package tincan_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// TestDrainGivesTheQueueAndEnds: a call of Accept that waits ends too.
func TestDrainGivesTheQueueAndEnds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no system call tells what is queued")
	}
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	both, err := tincan.Listen(t.Context(), "tcp://:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*tincan.Listener{(*tincan.ListenConfig)(nil).Adopt(bare), both} {
		defer l.Close()
		c, err := tincan.Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted := make(chan net.Conn, 2)
		failed := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					failed <- err
					return
				}
				accepted <- c
			}
		}()
		first := <-accepted // whoever accepts waits again
		defer first.Close()
		for range 2 { // again does nothing
			if err := tincan.Drain(l); err != nil {
				t.Fatal(err)
			}
		}
		err = <-failed
		var opErr *net.OpError
		if !errors.Is(err, net.ErrClosed) || !errors.As(err, &opErr) {
			t.Errorf("accept at the end of the drain: %v, want an OpError of net.ErrClosed", err)
		}
		if _, err := io.WriteString(first, "x"); err != nil {
			t.Error(err)
		}
	}
}

func TestDrainUnsupported(t *testing.T) {
	l, err := tincan.Listen(t.Context(), "mem:undrained")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = tincan.Drain(l)
	var opErr *net.OpError
	if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &opErr) {
		t.Errorf("got %v, want an OpError of ErrUnsupported", err)
	}
	c, err := tincan.Dial(t.Context(), "mem:undrained")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if accepted, err := l.Accept(); err != nil {
		t.Errorf("it is not as it was: %v", err)
	} else {
		accepted.Close()
	}
}
