//go:build !linux

package relay

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan"
)

const canSplice = false

var (
	errDemoted  = errors.New("no longer bulk")
	errNoSplice = errors.New("these can't be spliced")
)

func (m *mover) splice(context.Context) error { return errNoSplice }

func readLazily(syscall.RawConn) (buf *[]byte, n int, err error, ok bool) { return nil, 0, nil, false }

// awaitSent: there is no portable way to ask what a socket has still to send.
func awaitSent(tincan.Conn, time.Duration) {}
