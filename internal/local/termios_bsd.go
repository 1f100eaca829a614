//go:build unix && !linux && !solaris && !aix

package local

import "golang.org/x/sys/unix"

const getTermios = unix.TIOCGETA
