package pattern_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// TestFlush: it waits for the system to have taken what was sent, and so for a peer.
func TestFlush(t *testing.T) {
	push := pattern.NewPush(nil)
	defer push.Close()
	pull := pattern.NewPull(nil)
	defer pull.Close()
	addr, err := pull.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := push.Flush(t.Context()); err != nil {
		t.Errorf("with nothing sent: %v", err)
	}
	if err := push.Dial(addr.String()); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := push.Send(t.Context(), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := push.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if n := push.Stats().Queued; n != 0 {
		t.Errorf("%d messages are queued after Flush", n)
	}

	// More than the system takes: Flush waits, until ctx or the socket ends.
	stuck := pattern.NewPush(nil)
	defer stuck.Close()
	if addr, err = stuck.Listen(t.Context(), endpoint(t, "unix")); err != nil {
		t.Fatal(err)
	}
	rawPeer(t, addr, &zmtp.Config{Type: zmtp.Pull}) // which doesn't read
	for range 3 {
		if err := stuck.Send(within(t), make([]byte, pattern.DefaultSendBytes/4)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := stuck.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while a peer doesn't read: %v", err)
	}
	flushed := make(chan error, 1)
	go func() { flushed <- stuck.Flush(context.Background()) }()
	stuck.Close()
	if err := <-flushed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("when the socket is closed: %v", err)
	}
}

// TestRefuse: who asked learns that there is no reply.
func TestRefuse(t *testing.T) {
	rep := pattern.NewRep(nil)
	defer rep.Close()
	addr, err := rep.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	req := pattern.NewReq(nil)
	defer req.Close()
	if err := req.Dial(addr.String()); err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	go func() {
		_, err := req.Request(t.Context(), []byte("x"))
		asked <- err
	}()
	r, err := rep.Recv(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Refuse(errors.New("not today"))
	if err := <-asked; !errors.Is(err, pattern.ErrPeerLost) {
		t.Errorf("a refused request: %v", err)
	}
	if err := r.Reply([]byte("late")); !errors.Is(err, pattern.ErrReplied) {
		t.Errorf("a reply after it: %v", err)
	}
}
