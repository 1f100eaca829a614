package tincan

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// bindPath binds fd to path. On Linux the new path takes the mode of the
// socket's own inode less the umask, so it is never wider than mode; where the
// umask took too much it is widened afterwards.
func bindPath(fd, _ int, path string, mode fs.FileMode) error {
	if err := unix.Fchmod(fd, uint32(mode)); err != nil {
		return os.NewSyscallError("fchmod", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() == mode {
		return err
	}
	err = unix.Fchmodat(unix.AT_FDCWD, path, uint32(mode), unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, errors.ErrUnsupported) { // before Linux 6.6
		err = unix.Fchmodat(unix.AT_FDCWD, path, uint32(mode), 0)
	}
	return os.NewSyscallError("fchmodat", err)
}
