//go:build !linux

package tincan

import (
	"syscall"
	"time"
)

// keepAliveInherited: elsewhere the standard library sets keep-alive on each connection.
const keepAliveInherited = false

func setKeepAlive(syscall.RawConn, time.Duration) error { return nil }
