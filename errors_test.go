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
