//go:build !linux

package tincan

// unsent: there is no portable way to ask what a socket has still to send.
func unsent(Conn) int { return 0 }
