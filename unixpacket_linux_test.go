package tincan_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan"
)

// drain reads messages until the end.
func drain(t *testing.T, c tincan.MessageConn) (msgs []string) {
	t.Helper()
	buf := make([]byte, 64)
	for {
		n, err := c.ReadMessage(t.Context(), buf)
		if err == io.EOF {
			return msgs
		}
		if err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, string(buf[:n]))
	}
}

// An empty message is told from the end even where it is the last, was sent
// before the connection was accepted, and by a peer that knows nothing of this package.
func TestUnixpacketEmptyBeforeEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := listenMessage(t, nil, "unixpacket:"+path)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"", "a", "", ""} {
		if err := unix.Send(fd, []byte(m), 0); err != nil {
			t.Fatal(err)
		}
	}
	_ = unix.Close(fd)
	if got := fmt.Sprintf("%q", drain(t, accept(t, l))); got != `["" "a" "" ""]` {
		t.Errorf("got %s", got)
	}
}

// The same for the side that dials: what was sent before its option was set.
func TestUnixpacketEmptyFromListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unixpacket", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dialMessage(t, "unixpacket:"+path)
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		for _, m := range []string{"", "b", ""} {
			if err := unix.Send(int(fd), []byte(m), 0); err != nil {
				t.Error(err)
			}
		}
	})
	_ = s.Close()
	if got := fmt.Sprintf("%q", drain(t, c)); got != `["" "b" ""]` {
		t.Errorf("got %s", got)
	}
}

func TestUnixpacketHalfClose(t *testing.T) {
	l := listenMessage(t, nil, "unixpacket:"+filepath.Join(t.TempDir(), "s"))
	client, server := messagePair(t, l)
	write(t, client, "last")
	if err := tincan.CloseWrite(client); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%q", drain(t, server)); got != `["last"]` {
		t.Errorf("got %s", got)
	}
	wantOpError(t, client.WriteMessage(t.Context(), []byte("x")), "write", syscall.EPIPE)
	write(t, server, "after the end")
	if got := read(t, client); got != "after the end" {
		t.Errorf("got %q", got)
	}
	ended := make(chan error)
	go func() {
		_, err := client.ReadMessage(t.Context(), make([]byte, 8))
		ended <- err
	}()
	if err := tincan.CloseRead(client); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("read after CloseRead: %v", err)
	}
}

func TestUnixpacketReset(t *testing.T) {
	l := listenMessage(t, nil, "unixpacket:"+filepath.Join(t.TempDir(), "s"))
	client, server := messagePair(t, l)
	write(t, client, "never read")
	_ = server.Close()
	_, err := client.ReadMessage(t.Context(), make([]byte, 8))
	if tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("got %v", err)
	}
}

func TestUnixpacketRules(t *testing.T) {
	type event struct {
		c   tincan.Conn
		err error
	}
	events := make(chan event, 16)
	lc := &tincan.ListenConfig{}
	lc.Trace = &tincan.Trace{
		Accepted: func(_ net.Addr, c tincan.Conn) { events <- event{c: c} },
		Refused:  func(_, _ net.Addr, err error) { events <- event{err: err} },
	}
	path := filepath.Join(t.TempDir(), "s")
	l := listenMessage(t, lc, fmt.Sprintf("unixpacket:%s?max-conns=1&allow-uid=%d", path, os.Getuid()))
	if got := l.Addr().String(); got != "unixpacket://"+path {
		t.Errorf("address %s", got)
	}
	client, server := messagePair(t, l)
	if e := <-events; e.c != server {
		t.Errorf("accepted %v, traced %v", server, e.c)
	}
	cred, err := tincan.PeerCred(server)
	if err != nil || cred.UID != uint32(os.Getuid()) {
		t.Errorf("credentials %v, %v", cred, err)
	}
	accepted := make(chan tincan.MessageConn)
	go func() {
		c, err := l.Accept(t.Context())
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	second := dialMessage(t, l.Addr().String())
	if e := <-events; !errors.Is(e.err, tincan.ErrTooManyConns) {
		t.Errorf("refused by %v", e.err)
	}
	if _, err := second.ReadMessage(t.Context(), nil); err != io.EOF {
		t.Errorf("the refused one reads %v", err)
	}
	_ = server.Close()
	_ = client.Close()
	dialMessage(t, l.Addr().String())
	c := <-accepted
	if e := <-events; e.c != c {
		t.Errorf("accepted %v, traced %v", c, e.c)
	}
	_ = c.Close()
	_ = l.Close()

	l = listenMessage(t, lc, fmt.Sprintf("unixpacket:%s?allow-uid=%d", path, os.Getuid()+1))
	go func() {
		_, err := l.Accept(t.Context())
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		accepted <- nil
	}()
	dialMessage(t, l.Addr().String())
	if e := <-events; !errors.Is(e.err, tincan.ErrNotAllowed) {
		t.Errorf("refused by %v", e.err)
	}
	_ = l.Close()
	<-accepted
}
