//go:build !linux && !darwin && !freebsd

package tincan

import (
	"errors"
	"syscall"
)

func peerCred(syscall.RawConn) (Cred, error) { return Cred{}, errors.ErrUnsupported }
