package tincan

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keepAliveInherited tells that an accepted socket has the keep-alive settings of its listener.
const keepAliveInherited = true

// setKeepAlive makes a listener's connections probe a silent peer after idle, as
// the standard library would set it on each: 9 probes, idle apart. See tcp(7).
func setKeepAlive(c syscall.RawConn, idle time.Duration) error {
	if idle < 0 {
		return nil
	}
	if idle == 0 {
		idle = DefaultKeepAlive
	}
	seconds := int((idle + time.Second - 1) / time.Second)
	return control(c, func(fd int) error {
		return errors.Join(
			setInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			setInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds),
			setInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds),
			setInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9),
		)
	})
}
