package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
)

func TestExitCode(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	read := func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
	listen := func(err error) error { return &net.OpError{Op: "listen", Net: "tcp", Err: err} }
	_, wrongURL := tincan.ParseEndpoint("nonsense")
	for _, test := range []struct {
		err  error
		code int
		hint string // a part of it
	}{
		{nil, 0, ""},
		{errors.New("whatever"), 1, ""},
		{&usageError{problem: "wrong", remedy: "right"}, 2, "right"},
		{wrongURL, 2, "tcp://host:port"},
		{dial(tincan.ErrNoTransport), 2, "no such sockets"},
		{dial(os.NewSyscallError("connect", errRefused)), 3, "is a server listening"},
		{dial(&fs.PathError{Op: "connect", Path: "x", Err: syscall.ENOENT}), 3, "no such path"},
		{dial(&net.DNSError{Name: "x", IsNotFound: true}), 3, "spelled"},
		{dial(context.DeadlineExceeded), 4, "--connect-timeout"},
		{&timeoutError{what: "not done within", after: time.Second, last: dial(errRefused)}, 4, ""},
		{read(syscall.ECONNRESET), 5, ""},
		{sayWho(remoteSide, read(syscall.ECONNRESET)), 5, ""},
		{read(io.ErrUnexpectedEOF), 5, ""},
		{dial(x509.UnknownAuthorityError{}), 6, "?ca="},
		{dial(x509.CertificateInvalidError{Reason: x509.Expired}), 6, "out of date"},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(116)}, 6, "?cert="},
		{dial(os.NewSyscallError("connect", syscall.EACCES)), 6, "mode"},
		{tincan.ErrTooManyConns, 6, "max-conns"},
		{listen(os.NewSyscallError("bind", errInUse)), 7, "port 0"},
		{listen(tincan.ErrInUse), 7, "another path"},
		{listen(os.NewSyscallError("bind", syscall.EACCES)), 7, "privileges"},
		{listen(os.NewSyscallError("bind", errNotLocal)), 7, "none of this machine's"},
		// A standard stream's error says nothing of the connection.
		{&localError{doing: "write standard output", err: syscall.ENOSPC}, 1, ""},
		{&localError{doing: "read standard input", err: syscall.EACCES}, 1, ""},
		{&localError{doing: "write standard output", err: errBrokenPipe}, 141, ""},
		{interruptError{syscall.SIGINT}, 130, ""},
		{fmt.Errorf("wrapped: %w", interruptError{syscall.SIGTERM}), 143, ""},
	} {
		if got := exitCode(test.err); got != test.code {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.code)
		}
		if hint := hintFor(test.err); !strings.Contains(hint, test.hint) || test.hint == "" && hint != "" {
			t.Errorf("%v: hint %q, want %q", test.err, hint, test.hint)
		}
	}
}

// A lateTimer is a context whose deadline has passed and whose timer hasn't told so yet.
type lateTimer struct{ context.Context }

func (lateTimer) Deadline() (time.Time, bool) { return time.Now(), true }

// TestEndedBeforeTheTimer: a dial that gave up by the clock is a timeout too.
func TestEndedBeforeTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, &timeoutError{what: "not done within", after: time.Second})
		defer cancel()
		err := ended(lateTimer{ctx}, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errRefused)})
		if got := exitCode(err); got != 4 {
			t.Errorf("%v: exit code %d, want 4", err, got)
		}
	})
}

func TestFlagValues(t *testing.T) {
	var (
		backoff backoffFlag
		rate    rateFlag
		count   countFlag
		d       durationFlag
	)
	for _, test := range []struct {
		flag interface{ Set(string) error }
		good []string
		bad  []string
	}{
		{&backoff, []string{"100ms..2s", "1s"}, []string{"", "2s..1s", "..", "1s..", "0..1s", "-1s..1s", "1..2"}},
		{&rate, []string{"10MiB/s", "1", "64kB"}, []string{"", "0", "-1", "10MiB/h", "/s"}},
		{&count, []string{"1", "10000"}, []string{"", "0", "-1", "1.5", "1x", "0x10"}},
		{&d, []string{"1ns", "1h30m"}, []string{"", "0s", "-1s", "5", "soon"}},
	} {
		for _, s := range test.good {
			if err := test.flag.Set(s); err != nil {
				t.Errorf("%T %q: %v", test.flag, s, err)
			}
		}
		for _, s := range test.bad {
			if test.flag.Set(s) == nil {
				t.Errorf("%T takes %q", test.flag, s)
			}
		}
	}
	if err := backoff.Set("100ms..2s"); err != nil || backoff.Min != 100*time.Millisecond || backoff.Max != 2*time.Second {
		t.Errorf("100ms..2s is %+v", backoff)
	}
	if err := rate.Set("10MiB/s"); err != nil || rate != 10<<20 {
		t.Errorf("10MiB/s is %d", rate)
	}
}
