package tincan

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// PeerCred gives the credentials of the process at the other end of a Unix
// socket, as the kernel noted them when it connected (or, seen from the client,
// when it listened); it never blocks. What the process does later, such as
// dropping privileges or handing on the descriptor, doesn't show.
//
// Linux tells uid, gid and pid (SO_PEERCRED, unix(7)), macOS the same
// (LOCAL_PEERCRED, LOCAL_PEERPID), FreeBSD uid and gid. An in-process connection gives
// this process's own. For every other family and system, and for a datagram socket,
// whose peer never connected, the error is [errors.ErrUnsupported]. It sees the socket
// beneath TLS and WebSocket.
func PeerCred(c Conn) (Cred, error) {
	if own, ok := as[interface{ peerCred() (Cred, error) }](c, true); ok {
		cred, err := own.peerCred()
		return cred, opError("peercred", c, err)
	}
	s, ok := as[syscall.Conn](c, true)
	if !ok {
		return Cred{}, opError("peercred", c, errors.ErrUnsupported)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return Cred{}, opError("peercred", c, err)
	}
	cred, err := peerCred(raw)
	return cred, opError("peercred", c, err)
}

// ownCred gives this process's credentials. Windows has no such numbers.
func ownCred() (Cred, error) {
	if runtime.GOOS == "windows" {
		return Cred{}, errors.ErrUnsupported
	}
	return Cred{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), PID: os.Getpid()}, nil
}
