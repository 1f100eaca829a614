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
	"sync"
	"syscall"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// deadSocket leaves a socket at path that nobody serves.
func deadSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnixPathMode(t *testing.T) {
	for _, mask := range []int{0o022, 0o000, 0o077} {
		for _, tt := range []struct {
			query string
			want  fs.FileMode
		}{{"", 0o600}, {"?mode=0660", 0o660}, {"?mode=0666", 0o666}, {"?mode=0400", 0o400}} {
			path := filepath.Join(t.TempDir(), "s")
			old := syscall.Umask(mask)
			l, err := tincan.Listen(t.Context(), "unix:"+path+tt.query)
			syscall.Umask(old)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != tt.want {
				t.Errorf("umask %03o, %q: mode is %04o, want %04o", mask, tt.query, got, tt.want)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after Close the path is still there: %v", err)
			}
		}
	}
}

func TestUnixPathHeld(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string) (unharmed func() error)
	}{
		{"live server", func(t *testing.T, path string) func() error {
			listen(t, "unix:"+path)
			return func() error {
				c, err := net.Dial("unix", path)
				if err != nil {
					return err
				}
				return c.Close()
			}
		}},
		{"live server of another type", func(t *testing.T, path string) func() error {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return func() error { _, err := os.Lstat(path); return err }
		}},
		{"regular file", func(t *testing.T, path string) func() error {
			if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
				t.Fatal(err)
			}
			return func() error {
				b, err := os.ReadFile(path)
				if err == nil && string(b) != "precious" {
					err = errors.New("the file has changed")
				}
				return err
			}
		}},
		{"symbolic link to a dead socket", func(t *testing.T, path string) func() error {
			target := path + ".target"
			deadSocket(t, target)
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			return func() error {
				_, err := os.Readlink(path)
				_, err2 := os.Lstat(target)
				return errors.Join(err, err2)
			}
		}},
		{"dangling symbolic link", func(t *testing.T, path string) func() error {
			if err := os.Symlink(path+".nowhere", path); err != nil {
				t.Fatal(err)
			}
			return func() error { _, err := os.Readlink(path); return err }
		}},
		{"directory", func(t *testing.T, path string) func() error {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			return func() error { _, err := os.ReadDir(path); return err }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			unharmed := tt.make(t, path)
			l, err := tincan.Listen(t.Context(), "unix:"+path)
			if err == nil {
				_ = l.Close()
				t.Fatal("Listen succeeded")
			}
			if !errors.Is(err, tincan.ErrInUse) || tincan.KindOf(err) != tincan.KindBind {
				t.Errorf("error is %v of kind %v, want ErrInUse of kind bind", err, tincan.KindOf(err))
			}
			if err := unharmed(); err != nil {
				t.Errorf("what held the path was harmed: %v", err)
			}
		})
	}
}

func TestUnixPathTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	deadSocket(t, path)
	listen(t, "unix:"+path)
	c, err := tincan.Dial(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// Of several that find the same dead socket at once, one gets it.
func TestUnixPathTakenOverOnce(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "s")
		deadSocket(t, path)
		var (
			wg  sync.WaitGroup
			mu  sync.Mutex // guards won
			won []*tincan.Listener
		)
		for range 8 {
			wg.Go(func() {
				l, err := tincan.Listen(context.Background(), "unix:"+path)
				if err != nil {
					if !errors.Is(err, tincan.ErrInUse) {
						t.Errorf("got %v, want ErrInUse", err)
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				won = append(won, l)
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Errorf("%d listeners took the path over, want 1", len(won))
		}
		for _, l := range won {
			_ = l.Close()
		}
	}
}

func TestUnixPathReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := listen(t, "unix:"+path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("Close removed the path of the server that came after: %v", err)
	}
	_ = c.Close()
}

func TestUnixPathTooLong(t *testing.T) {
	long := "unix:" + strings.Repeat("x", 130)
	var endpointErr *tincan.EndpointError
	if _, err := tincan.Listen(t.Context(), long); !errors.As(err, &endpointErr) {
		t.Errorf("Listen: %v, want an EndpointError", err)
	}
}
