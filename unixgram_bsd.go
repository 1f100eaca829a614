//go:build unix && !linux

package tincan

import (
	"errors"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// localName is the name of a dialled socket, in a directory of its own where it wasn't given.
type localName struct {
	unixPath
	dir string
}

func (n localName) remove() error {
	err := n.unixPath.remove()
	if n.dir != "" {
		err = errors.Join(err, os.Remove(n.dir))
	}
	return err
}

// bindAny binds to a path in a new temporary directory.
func bindAny(fd int) (localName, error) {
	dir, err := os.MkdirTemp("", "tincan")
	if err != nil {
		return localName{}, err
	}
	name := localName{dir: dir}
	path := filepath.Join(dir, "s")
	// The directory is ours alone, and a peer that runs as another user must be able to answer.
	if err := bindPath(fd, unix.SOCK_DGRAM, path, 0o666); err != nil {
		return localName{}, errors.Join(err, name.remove())
	}
	if name.unixPath, err = newUnixPath(path); err != nil {
		return localName{}, errors.Join(err, os.RemoveAll(dir))
	}
	return name, os.Chmod(dir, 0o711)
}

func newUnixgramSocket(c *net.UnixConn) (packetSocket, error) { return &plainSocket{socket: c}, nil }
