package tincan_test

import (
	"context"
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

	"github.com/tincan-ipc/tincan"
)

func TestKindOf(t *testing.T) {
	op := func(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }
	tests := []struct {
		err  error
		want tincan.ErrorKind
	}{
		{nil, tincan.KindNone},
		{io.EOF, tincan.KindNone},
		{errors.New("else"), tincan.KindOther},
		{&tincan.EndpointError{}, tincan.KindUsage},
		{op("dial", tincan.ErrNoTransport), tincan.KindUsage},
		{op("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), tincan.KindConnect},
		{op("read", os.NewSyscallError("read", syscall.ECONNREFUSED)), tincan.KindConnect},
		{op("dial", os.NewSyscallError("connect", syscall.ECONNRESET)), tincan.KindReset},
		{op("dial", &net.DNSError{IsNotFound: true}), tincan.KindConnect},
		{op("dial", &net.DNSError{IsTimeout: true}), tincan.KindTimeout},
		{op("dial", context.DeadlineExceeded), tincan.KindTimeout},
		{op("dial", os.NewSyscallError("connect", syscall.ETIMEDOUT)), tincan.KindTimeout},
		{os.ErrDeadlineExceeded, tincan.KindTimeout},
		{op("read", os.NewSyscallError("read", syscall.ECONNRESET)), tincan.KindReset},
		{op("write", os.NewSyscallError("write", syscall.EPIPE)), tincan.KindReset},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), tincan.KindReset},
		{op("dial", x509.UnknownAuthorityError{}), tincan.KindDenied},
		{op("dial", os.NewSyscallError("connect", syscall.EACCES)), tincan.KindDenied},
		{op("listen", os.NewSyscallError("bind", syscall.EACCES)), tincan.KindBind},
		{op("listen", os.NewSyscallError("bind", syscall.EADDRINUSE)), tincan.KindBind},
		{op("listen", fmt.Errorf("%w: x", tincan.ErrInUse)), tincan.KindBind},
		{tincan.ErrNotAllowed, tincan.KindDenied},
		{fmt.Errorf("%w: 3", tincan.ErrTooManyConns), tincan.KindDenied},
		{&tincan.HandshakeError{Layer: "tls", Err: io.EOF}, tincan.KindDenied},
		{&tincan.HandshakeError{Layer: "tls", Err: context.DeadlineExceeded}, tincan.KindTimeout},
		{fs.ErrNotExist, tincan.KindOther},
	}
	for _, tt := range tests {
		if got := tincan.KindOf(tt.err); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
}

// TestErrorAddress shows that errors say the address behind the scheme, once, and what is wrong with a zone.
func TestErrorAddress(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for url, want := range map[string]string{
		"tcp://[fe80::1%nosuch]:80": "[fe80::1%nosuch]:80",
		"udp://[fe80::1%nosuch]:80": "[fe80::1%nosuch]:80",
		"mem:nobody":                "nobody",
		"vsock://1:2":               "1:2",
		"npipe:x":                   "x",
	} {
		_, err := tincan.Dial(ended, url)
		if strings.HasPrefix(url, "udp") {
			_, err = tincan.DialMessage(ended, url)
		}
		opErr, ok := errors.AsType[*net.OpError](err)
		if !ok || opErr.Addr.String() != want || !strings.HasPrefix(url, opErr.Net+":") || errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
