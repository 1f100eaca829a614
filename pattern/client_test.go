package pattern_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// clientAndPeers gives a Client over mem: and connections whose other ends are its peers, in the order in which they joined.
func clientAndPeers(t *testing.T, o *pattern.Options, n int) (*pattern.Client, []net.Conn) {
	t.Helper()
	client := pattern.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	addr, err := client.Listen(t.Context(), endpoint(t, "mem"))
	if err != nil {
		t.Fatal(err)
	}
	var peers []net.Conn
	for range n {
		peers = append(peers, rawPeer(t, addr, &zmtp.Config{Type: zmtp.Router}))
		synctest.Wait() // it has joined before the next
	}
	return client, peers
}

// An outcome is what Request gave.
type outcome struct {
	parts [][]byte
	err   error
}

// request makes a request in the background.
func request(ctx context.Context, client *pattern.Client, body []byte) <-chan outcome {
	answers := make(chan outcome, 1)
	go func() {
		parts, err := client.Request(ctx, body)
		answers <- outcome{parts, err}
	}()
	return answers
}

// asked reads a request of one short part, and gives its number as it is on the wire.
func asked(t *testing.T, c net.Conn) (id []byte, body string) {
	t.Helper()
	b := make([]byte, 14)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	part := make([]byte, b[13])
	if _, err := io.ReadFull(c, part); err != nil {
		t.Fatal(err)
	}
	return b[2:10], string(part)
}

// replyTo gives a reply, or what looks like one, as frames.
func replyTo(id []byte, parts ...string) []byte {
	frames := zmtp.AppendFrame(zmtp.AppendFrame(nil, zmtp.FlagMore, id), zmtp.FlagMore, nil)
	for i, p := range parts {
		var f zmtp.Flags
		if i < len(parts)-1 {
			f = zmtp.FlagMore
		}
		frames = zmtp.AppendFrame(frames, f, []byte(p))
	}
	return frames
}

// TestStrayReplies sends a Client what doesn't answer the request that is under way, though it may have the place of one that was
// given up.
func TestStrayReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, peers := clientAndPeers(t, nil, 2)
		ctx, cancel := context.WithCancel(t.Context())
		givenUp := request(ctx, client, []byte("given up"))
		before, _ := asked(t, peers[0])
		cancel()
		if a := <-givenUp; !errors.Is(a.err, context.Canceled) {
			t.Fatalf("got %v", a.err)
		}
		answers := request(t.Context(), client, []byte("x"))
		id, body := asked(t, peers[1])
		if body != "x" || bytes.Equal(id, before) || !bytes.Equal(id[4:], before[4:]) {
			t.Fatalf("request %q has number %x after %x, want another number for the same slot", body, id, before)
		}
		next := slices.Clone(id)
		next[3]++
		beyond := slices.Clone(id)
		beyond[4]++
		strays := [][]byte{
			replyTo(before, "late"),
			replyTo(next, "of a request to come"),
			replyTo(beyond, "no such slot"),
			replyTo(id[1:], "short number"),
			replyTo(append(id[:8:8], 0), "long number"),
			replyTo(nil, "no number"),
			zmtp.AppendFrame(nil, 0, id),
			zmtp.AppendFrame(zmtp.AppendFrame(nil, zmtp.FlagMore, id), 0, []byte("no delimiter")),
		}
		if _, err := peers[0].Write(replyTo(id, "of a peer that wasn't asked")); err != nil {
			t.Fatal(err)
		}
		if _, err := peers[1].Write(bytes.Join(strays, nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := client.Stats().Dropped; n != uint64(len(strays)+1) {
			t.Errorf("%d were dropped, want %d", n, len(strays)+1)
		}
		select {
		case a := <-answers:
			t.Fatalf("got %q, %v", a.parts, a.err)
		default:
		}
		// One write, so that they come together: only the first is the answer.
		if _, err := peers[1].Write(slices.Concat(replyTo(before, "late"), replyTo(id, "y", "", "z"), replyTo(id, "again"))); err != nil {
			t.Fatal(err)
		}
		if a := <-answers; a.err != nil || fmt.Sprintf("%q", a.parts) != `["y" "" "z"]` {
			t.Errorf("got %q, %v", a.parts, a.err)
		}
		synctest.Wait()
		if n := client.Stats().Dropped; n != uint64(len(strays)+3) {
			t.Errorf("%d were dropped, want %d", n, len(strays)+3)
		}
	})
}

// answerTogether has n requests under way at once, whose replies come in one write. The reply to the request number i is of
// the parts that parts gives.
func answerTogether(t *testing.T, client *pattern.Client, peer net.Conn, n int, parts func(i int) []string) [][][]byte {
	t.Helper()
	replies := make([][][]byte, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			reply, err := client.Request(t.Context(), binary.BigEndian.AppendUint32(nil, uint32(i)))
			if err != nil {
				t.Error(err)
			}
			replies[i] = reply
		})
	}
	var frames []byte
	for range n {
		id, body := asked(t, peer)
		frames = append(frames, replyTo(id, parts(int(binary.BigEndian.Uint32([]byte(body))))...)...)
	}
	if _, err := peer.Write(frames); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	return replies
}

// TestKeptReplies keeps replies that came together, and appends to their parts: each is its caller's alone.
func TestKeptReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, peers := clientAndPeers(t, nil, 1)
		const n = 64
		var want []string
		var kept [][][]byte
		for round := range 8 {
			content := func(i int) []string {
				var parts []string
				for j := range 1 + i%6 {
					length := []int{0, 1, 30, 64, 200, 256, 257, 2000}[(i+j+round)%8]
					parts = append(parts, string(bytes.Repeat([]byte{byte(round + i + j)}, length)))
				}
				return parts
			}
			for i, reply := range answerTogether(t, client, peers[0], n, content) {
				want = append(want, fmt.Sprintf("%q", content(i)))
				kept = append(kept, reply)
			}
		}
		for i, reply := range kept {
			for _, part := range reply {
				_ = append(part, "overwrites what follows"...)
			}
			if got := fmt.Sprintf("%q", reply); got != want[i] {
				t.Errorf("reply %d: got %.100s, want %.100s", i, got, want[i])
			}
			_ = append(reply, []byte("another part"))
		}
		for i, reply := range kept {
			if got := fmt.Sprintf("%q", reply); got != want[i] {
				t.Errorf("reply %d, later: got %.100s, want %.100s", i, got, want[i])
			}
		}
	})
}

// TestKeptReplyHolds keeps a few of many replies: what they hold beside themselves is bounded.
func TestKeptReplyHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, peers := clientAndPeers(t, nil, 1)
		const n, rounds, each = 64, 500, 32
		content := func(int) []string { return []string{string(make([]byte, 64))} }
		inUse := func() int {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc)
		}
		answerTogether(t, client, peers[0], n, content)
		before := inUse()
		var kept [][][]byte
		for range rounds {
			for i, reply := range answerTogether(t, client, peers[0], n, content) {
				if i%each == 0 {
					kept = append(kept, reply)
				}
			}
		}
		if held := (inUse() - before) / len(kept); held > 2<<10 {
			t.Errorf("%d bytes for each reply of 64", held)
		}
		runtime.KeepAlive(kept)
	})
}

// TestRequestsOfLostPeer has a peer go while it has read the first of many requests: those that it can't have
// got wait for another, or for Close.
func TestRequestsOfLostPeer(t *testing.T) {
	for _, another := range []bool{true, false} {
		t.Run(fmt.Sprint("another ", another), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, peers := clientAndPeers(t, nil, 1)
				const n, size = 20, 100 << 10
				answers := make([]<-chan outcome, n)
				for i := range n {
					body := make([]byte, size)
					body[0] = byte(i)
					answers[i] = request(context.Background(), client, body)
				}
				if _, err := io.ReadFull(peers[0], make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if err := tincan.Abort(peers[0]); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if another {
					server := pattern.NewServer(nil)
					serve(t, server, echo)
					if err := server.Dial(endpoint(t, "mem")); err != nil {
						t.Fatal(err)
					}
				} else {
					_ = client.Close() // it tells what it discards
				}
				lost, answered, closed := 0, 0, 0
				for i := range n {
					switch a := <-answers[i]; {
					case errors.Is(a.err, pattern.ErrPeerLost):
						lost++
					case errors.Is(a.err, net.ErrClosed):
						closed++
					case a.err == nil && len(a.parts) == 1 && len(a.parts[0]) == size && a.parts[0][0] == byte(i):
						answered++
					default:
						t.Errorf("got %d parts, %v", len(a.parts), a.err)
					}
				}
				if lost == 0 || lost > 3 || another != (answered > 0) || another != (closed == 0) {
					t.Errorf("%d lost their peer, %d were answered, %d closed", lost, answered, closed)
				}
			})
		})
	}
}

// TestSharedContext has so many requests come with one context that it is watched for all of them.
func TestSharedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, peers := clientAndPeers(t, nil, 1)
		reply := func(id []byte) {
			if _, err := peers[0].Write(replyTo(id, "reply")); err != nil {
				t.Fatal(err)
			}
		}
		many := func(ctx context.Context) {
			for range 200 {
				got := request(ctx, client, []byte("x"))
				id, _ := asked(t, peers[0])
				reply(id)
				if a := <-got; a.err != nil || fmt.Sprintf("%s", a.parts) != "[reply]" {
					t.Fatalf("got %q, %v", a.parts, a.err)
				}
			}
		}
		ends := func(got <-chan outcome, want ...error) {
			t.Helper()
			synctest.Wait()
			select {
			case a := <-got:
				for _, err := range want {
					if !errors.Is(a.err, err) {
						t.Errorf("got %v, want %v", a.err, err)
					}
				}
			default:
				t.Errorf("the request did not end, want %v", want)
			}
		}
		cause := errors.New("the cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		other, cancelOther := context.WithCancel(t.Context())
		many(ctx)
		var shared []<-chan outcome
		var late []byte
		for i := range 10 {
			shared = append(shared, request(context.WithValue(ctx, &cause, i), client, []byte("x")))
			id, _ := asked(t, peers[0])
			late = append(late, replyTo(id, "late")...)
		}
		own := request(other, client, []byte("x"))
		_, _ = asked(t, peers[0])
		rest := request(context.Background(), client, []byte("x"))
		last, _ := asked(t, peers[0])
		cancel(cause)
		for _, got := range shared {
			ends(got, context.Canceled, cause)
		}
		ends(request(ctx, client, []byte("x")), context.Canceled, cause)
		_, _ = asked(t, peers[0])
		cancelOther()
		ends(own, context.Canceled)
		if _, err := peers[0].Write(late); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := client.Stats().Dropped; n != 10 {
			t.Errorf("%d late replies were dropped, want 10", n)
		}
		reply(last)
		ends(rest, nil)

		// Two in turn, one after the other, and Close while there are requests of both.
		third, cancelThird := context.WithCancel(t.Context())
		defer cancelThird()
		fourth, cancelFourth := context.WithTimeout(t.Context(), time.Hour)
		defer cancelFourth()
		many(third)
		many(fourth)
		many(third)
		timed, open := request(fourth, client, []byte("x")), request(third, client, []byte("x"))
		_, _ = asked(t, peers[0])
		_, _ = asked(t, peers[0])
		time.Sleep(time.Hour)
		ends(timed, context.DeadlineExceeded)
		_ = client.Close()
		ends(open, net.ErrClosed)
		ends(request(third, client, []byte("x")), net.ErrClosed)
	})
}
