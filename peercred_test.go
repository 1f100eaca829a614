package tincan_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/tincan-ipc/tincan"
)

func TestPeerCred(t *testing.T) {
	type row struct {
		name     string
		endpoint string
		want     bool
	}
	rows := []row{{"tcp", "tcp://127.0.0.1:0", false}}
	switch runtime.GOOS {
	case "linux":
		rows = append(rows, row{"abstract", "unix:@tincan-test-cred-" + filepath.Base(t.TempDir()) + "-" + t.Name(), true})
		fallthrough
	case "darwin", "freebsd":
		rows = append(rows,
			row{"unix", "unix://" + filepath.Join(t.TempDir(), "s"), true},
			row{"counted", "unix://" + filepath.Join(t.TempDir(), "s") + "?max-conns=1", true}, // a wrapper
		)
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			l, err := tincan.Listen(t.Context(), r.endpoint)
			if err != nil {
				t.Fatal(err)
			}
			client, server := connect(t, l)
			for _, c := range []net.Conn{client, server} {
				got, err := tincan.PeerCred(c)
				if !r.want {
					var opErr *net.OpError
					if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &opErr) {
						t.Errorf("got %+v, %v; want an OpError of ErrUnsupported", got, err)
					}
					continue
				}
				want := tincan.Cred{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), PID: os.Getpid()}
				if runtime.GOOS == "freebsd" {
					want.PID = 0
				}
				if got != want || err != nil {
					t.Errorf("got %+v, %v; want %+v", got, err, want)
				}
			}
		})
	}
}

// connect dials l and gives both ends, closed with l when the test ends.
func connect(t testing.TB, l *tincan.Listener) (client, server net.Conn) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	client, err := tincan.Dial(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}
