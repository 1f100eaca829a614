package state

import (
	"errors"
	"io"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// TestEndInsideALine: a line that was cut is a lost connection, and a whole one that is no object the server's fault.
func TestEndInsideALine(t *testing.T) {
	for said, want := range map[string]error{
		"{\"seq\":1,\"snapshot\":{}}\n{\"seq\":2,\"ti": io.ErrUnexpectedEOF,
		"{\"seq\":1,\"snapshot\":{}}\n":                io.ErrUnexpectedEOF,
		"{\"seq\":1,\"snapshot\":{}}\n{\"seq\":2,\n":   ErrProtocol,
		"{\"seq\":1,\"snapshot\":{}}\nnonsense\n":      ErrProtocol,
	} {
		l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, err = io.WriteString(c, said)
				err = errors.Join(err, c.Close())
			}
			served <- err
		}()
		f := follow(t, l.Addr().String(), FollowOptions{Once: true})
		next(t, f)
		_, err = f.Next(t.Context())
		if !errors.Is(err, want) || errors.Is(err, ErrProtocol) != errors.Is(want, ErrProtocol) {
			t.Errorf("%q ends with %v, want %v", said, err, want)
		}
		if err := errors.Join(<-served, l.Close()); err != nil {
			t.Error(err)
		}
	}
}
