package tincan_test

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// TestAdopt: the address can be dialled, and the rules hold.
func TestAdopt(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		bound, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		refused := make(chan error, 1)
		lc := &tincan.ListenConfig{Config: tincan.Config{
			Options: tincan.Options{MaxConns: 1},
			Trace:   &tincan.Trace{Refused: func(_, _ net.Addr, err error) { refused <- err }},
		}}
		ln := lc.Adopt(bound)
		accepted := make(chan net.Conn, 2)
		go func() {
			defer close(accepted)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				accepted <- c
			}
		}()
		dial(t, ln.Addr().String())
		poke(t, ln.Addr().String())
		if err := <-refused; !errors.Is(err, tincan.ErrTooManyConns) {
			t.Errorf("%s: %v", network, err)
		}
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		for c := range accepted {
			_ = c.Close()
		}
	}
}

// TestAdoptAddr: what is bound to every interface is told as such.
func TestAdoptAddr(t *testing.T) {
	bound, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	ln := (*tincan.ListenConfig)(nil).Adopt(bound)
	defer ln.Close()
	if e, ok := ln.Addr().(*tincan.Endpoint); !ok || e.Host != "*" {
		t.Errorf("the address is %v", ln.Addr())
	}
}
