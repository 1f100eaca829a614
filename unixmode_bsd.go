//go:build unix && !linux

package tincan

import (
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

var umaskMu sync.Mutex // guards the process's umask while bindPath narrows it

// bindPath binds fd to path. A stream or seqpacket socket can't be connected
// to before it listens, so there is time to set the mode. A datagram socket can
// at once; for it the umask, which is the whole process's, is narrowed meanwhile.
func bindPath(fd, sotype int, path string, mode fs.FileMode) error {
	if err := bindNarrowed(fd, sotype, path, mode); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return os.NewSyscallError("fchmodat", unix.Fchmodat(unix.AT_FDCWD, path, uint32(mode), unix.AT_SYMLINK_NOFOLLOW))
}

func bindNarrowed(fd, sotype int, path string, mode fs.FileMode) error {
	if sotype == unix.SOCK_DGRAM {
		umaskMu.Lock()
		defer umaskMu.Unlock()
		defer unix.Umask(unix.Umask(int(^mode & 0o777)))
	}
	return unix.Bind(fd, &unix.SockaddrUnix{Name: path})
}
