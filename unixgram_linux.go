package tincan

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// localName is the name of a dialled socket.
type localName struct{ unixPath }

// bindAny binds to a name in the abstract namespace that the kernel chooses. See unix(7), "Autobind feature".
func bindAny(fd int) (localName, error) {
	return localName{}, os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{}))
}

// unixSlot holds a datagram as long as the kernel allows without more
// privileges, which is twice its default net.core.wmem_max of 208 KiB. A longer one is cut, and told so.
const unixSlot = 512 << 10

func newUnixgramSocket(c *net.UnixConn) (packetSocket, error) {
	return newBatchSocket(c, unixSlot, false)
}
