package tincantest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/tincantest"
)

// messagePair gives both ends of an in-process message connection; the client's has the faults.
func messagePair(t *testing.T, f tincantest.MessageFaults) (faulty, peer tincan.MessageConn) {
	t.Helper()
	l, err := tincan.ListenMessage(t.Context(), "mem:faulty-messages")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := tincan.DialMessage(t.Context(), "mem:faulty-messages")
	if err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	faulty = tincantest.WrapFaultyMessages(c, f)
	t.Cleanup(func() { _ = faulty.Close(); _ = peer.Close() })
	return faulty, peer
}

// A connection with delays that nobody may notice is as good as one without faults.
func TestFaultyMessagesConform(t *testing.T) {
	for _, tt := range []struct {
		scheme  string
		fixture tincantest.MessageFixture
	}{
		{"mem", tincantest.MessageFixture{Endpoint: func(*testing.T) string { return "mem:faulty" }, MaxMessage: tincan.DefaultMaxMessage}},
		{"udp4", tincantest.MessageFixture{
			Endpoint: func(*testing.T) string { return "udp4://:0" }, MaxMessage: 65507,
			Datagrams: true, NoCloseWrite: true, NoCloseRead: true, NoAbort: true,
		}},
	} {
		t.Run(tt.scheme, func(t *testing.T) {
			none := func(int) tincantest.MessageFaults { return tincantest.MessageFaults{} }
			transport := &tincantest.FaultyMessageTransport{Dialled: none, Accepted: none}
			config := tincan.Config{MessageTransports: map[string]tincan.MessageTransport{tt.scheme: transport}}
			tt.fixture.Dialer, tt.fixture.ListenConfig = &tincan.Dialer{Config: config}, &tincan.ListenConfig{Config: config}
			tincantest.TestMessages(t, tt.fixture)
		})
	}
}

// arrivals gives what arrives at c until nothing has for a day.
func arrivals(t *testing.T, c tincan.MessageConn) (msgs []string) {
	t.Helper()
	for buf := make([]byte, 100); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		n, err := c.ReadMessage(ctx, buf)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return msgs
		}
		if err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, string(buf[:n]))
	}
}

func TestMessageFates(t *testing.T) {
	for name, tt := range map[string]struct {
		flow tincantest.MessageFlow
		want []string
	}{
		"none":                   {tincantest.MessageFlow{}, []string{"a", "", "b", "c"}},
		"all dropped":            {tincantest.MessageFlow{Drop: 1, Duplicate: 1}, nil},
		"all doubled":            {tincantest.MessageFlow{Duplicate: 1}, []string{"a", "a", "", "", "b", "b", "c", "c"}},
		"all swapped":            {tincantest.MessageFlow{Reorder: 1}, []string{"", "a", "c", "b"}},
		"doubled and swapped":    {tincantest.MessageFlow{Duplicate: 1, Reorder: 1}, []string{"a", "", "", "a", "b", "c", "c", "b"}},
		"late, but in order":     {tincantest.MessageFlow{Delay: time.Hour}, []string{"a", "", "b", "c"}},
		"late and doubled":       {tincantest.MessageFlow{Delay: time.Hour, Duplicate: 1}, []string{"a", "a", "", "", "b", "b", "c", "c"}},
		"negative means nothing": {tincantest.MessageFlow{Delay: -time.Hour, Jitter: -1, Drop: -1}, []string{"a", "", "b", "c"}},
	} {
		for direction, f := range map[string]tincantest.MessageFaults{"write": {Write: tt.flow}, "read": {Read: tt.flow}} {
			t.Run(name+" "+direction, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					from, to := messagePair(t, f)
					if direction == "read" {
						from, to = to, from
					}
					for _, msg := range []string{"a", "", "b", "c"} {
						if err := from.WriteMessage(t.Context(), []byte(msg)); err != nil {
							t.Fatal(err)
						}
					}
					if got := arrivals(t, to); !slices.Equal(got, tt.want) {
						t.Errorf("%q arrived, want %q", got, tt.want)
					}
				})
			})
		}
	}
}

// What chance does is the same with the same seed, and about as often as asked.
func TestMessageChances(t *testing.T) {
	run := func(seed uint64) (msgs []string) {
		synctest.Test(t, func(t *testing.T) {
			faulty, peer := messagePair(t, tincantest.MessageFaults{
				Seed: seed, Write: tincantest.MessageFlow{Drop: 0.2, Duplicate: 0.1, Reorder: 0.1, Jitter: time.Second},
			})
			for i := range 500 {
				if err := faulty.WriteMessage(t.Context(), fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
			msgs = arrivals(t, peer)
		})
		return msgs
	}
	a := run(1)
	if b := run(1); !slices.Equal(a, b) {
		t.Errorf("two runs with one seed differ: %v and %v", a, b)
	}
	if b := run(2); slices.Equal(a, b) {
		t.Error("two seeds make the same")
	}
	different := slices.Compact(slices.Sorted(slices.Values(a)))
	if n := len(different); n < 360 || n > 440 {
		t.Errorf("%d of 500 arrived, want about 400", n)
	}
	if n := len(a) - len(different); n < 20 || n > 70 {
		t.Errorf("%d came twice, want about 40", n)
	}
}

func TestMessageDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty, peer := messagePair(t, tincantest.MessageFaults{
			Read: tincantest.MessageFlow{Delay: time.Minute}, Write: tincantest.MessageFlow{Delay: time.Hour},
		})
		buf := make([]byte, 10)
		for from, want := range map[tincan.MessageConn]time.Duration{faulty: time.Hour, peer: time.Minute} {
			to := peer
			if from == peer {
				to = faulty
			}
			took := timed(func() {
				if err := from.WriteMessage(t.Context(), []byte("x")); err != nil {
					t.Fatal(err)
				}
			})
			if took != 0 {
				t.Errorf("WriteMessage took %v", took)
			}
			// The end of ctx loses nothing that is on its way.
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			took = timed(func() {
				if _, err := to.ReadMessage(short, buf); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("an impatient read: %v", err)
				}
				if n, err := to.ReadMessage(t.Context(), buf); n != 1 || err != nil {
					t.Errorf("ReadMessage: %d, %v", n, err)
				}
			})
			if took != want {
				t.Errorf("arrived after %v, want %v", took, want)
			}
		}
		// A message that is longer than the buffer is lost, the one behind it is not.
		for _, msg := range []string{"too long", "fits"} {
			if err := peer.WriteMessage(t.Context(), []byte(msg)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := faulty.ReadMessage(t.Context(), buf[:4]); !errors.Is(err, io.ErrShortBuffer) {
			t.Errorf("got %v, want io.ErrShortBuffer", err)
		}
		if n, err := faulty.ReadMessage(t.Context(), buf[:4]); string(buf[:n]) != "fits" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
		// Close wakes a read that waits for what is on its way.
		if err := peer.WriteMessage(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		result := make(chan error)
		go func() { _, err := faulty.ReadMessage(context.Background(), buf); result <- err }()
		time.Sleep(time.Second)
		_ = faulty.Close()
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Errorf("ReadMessage while Close is called: %v", err)
		}
	})
}
