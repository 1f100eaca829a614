//go:build unix

package tincan_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

func TestUnixgramDialFails(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	c, err := net.ListenPacket("unixgram", dead)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close() // leaves the path
	for _, tt := range []struct {
		path string
		want error
	}{{filepath.Join(dir, "none"), fs.ErrNotExist}, {dead, syscall.ECONNREFUSED}} {
		local := filepath.Join(dir, "local")
		_, err := tincan.DialMessage(t.Context(), "unixgram:"+tt.path+"?local="+local)
		wantOpError(t, err, "dial", tt.want)
		if tincan.KindOf(err) != tincan.KindConnect {
			t.Errorf("kind of %v is %v", err, tincan.KindOf(err))
		}
		if _, err := os.Lstat(local); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the local path is left: %v", err)
		}
	}
}

func TestUnixgramPaths(t *testing.T) {
	dir := t.TempDir()
	server, local := filepath.Join(dir, "server"), filepath.Join(dir, "local")
	l := listenMessage(t, nil, "unixgram:"+server+"?mode=0640")
	if info, err := os.Lstat(server); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := tincan.ListenMessage(t.Context(), "unixgram:"+server); !errors.Is(err, tincan.ErrInUse) || tincan.KindOf(err) != tincan.KindBind {
		t.Errorf("listen on a path that is served: %v", err)
	}
	c := dialMessage(t, "unixgram:"+server+"?local="+local)
	if info, err := os.Lstat(local); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	write(t, c, "hello")
	s := accept(t, l)
	if s.RemoteAddr().String() != local || s.LocalAddr().String() != server {
		t.Errorf("the server sees %v-%v", s.LocalAddr(), s.RemoteAddr())
	}
	if err := tincan.CloseWrite(c); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseWrite: %v", err)
	}
	_ = c.Close()
	err := s.WriteMessage(t.Context(), []byte("anyone?"))
	var opErr *net.OpError
	if !errors.As(err, &opErr) || tincan.KindOf(err) == tincan.KindNone {
		t.Errorf("write to a peer that is gone: %v", err)
	}
	_ = l.Close()
	for _, path := range []string{server, local} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

// A peer without a name, which no socket of this package is, can be read but not answered.
func TestUnixgramUnnamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := listenMessage(t, nil, "unixgram:"+path)
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("psst")); err != nil {
		t.Fatal(err)
	}
	s := accept(t, l)
	if got := read(t, s); got != "psst" {
		t.Errorf("got %q", got)
	}
	err = s.WriteMessage(t.Context(), nil)
	var opErr *net.OpError
	if !errors.As(err, &opErr) || !strings.Contains(err.Error(), "no address") {
		t.Errorf("got %v", err)
	}
	_ = l.Close()

	l = listenMessage(t, nil, "unixgram:"+path)
	ctx, cancel := context.WithCancel(t.Context())
	c2, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Close()
	if _, err := c2.Write([]byte("psst")); err != nil {
		t.Fatal(err)
	}
	err = tincan.ServeDatagrams(ctx, l, func(d *tincan.Datagram) []byte {
		if d.From() != nil {
			t.Errorf("from %v", d.From())
		}
		cancel()
		return d.Payload
	})
	if err != nil {
		t.Error(err)
	}
}

// Writing to a peer that doesn't read waits, until it does or ctx ends; in both directions.
func TestUnixgramPeerFull(t *testing.T) {
	l := listenMessage(t, nil, "unixgram:"+filepath.Join(t.TempDir(), "s"))
	raw := dialMessage(t, l.Addr().String())
	// Nobody reads the listener's socket before Accept.
	fill := func(t *testing.T, c tincan.MessageConn) (sent int) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for {
			err := c.WriteMessage(ctx, make([]byte, 1000))
			if err != nil {
				wantOpError(t, err, "write", context.DeadlineExceeded)
				return sent
			}
			sent++
		}
	}
	sent := fill(t, raw)
	blocked := make(chan error)
	go func() { blocked <- raw.WriteMessage(t.Context(), []byte("last")) }()
	server := accept(t, l)
	if err := <-blocked; err != nil {
		t.Fatal(err)
	}
	for range sent {
		if got := read(t, server); len(got) != 1000 {
			t.Fatalf("got %d bytes", len(got))
		}
	}
	if got := read(t, server); got != "last" {
		t.Errorf("got %q", got)
	}

	sent = fill(t, server)
	go func() { blocked <- server.WriteMessage(t.Context(), []byte("last")) }()
	for range sent {
		if got := read(t, raw); len(got) != 1000 {
			t.Fatalf("got %d bytes", len(got))
		}
	}
	if err := <-blocked; err != nil {
		t.Fatal(err)
	}
	if got := read(t, raw); got != "last" {
		t.Errorf("got %q", got)
	}
}
