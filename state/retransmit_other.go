//go:build !linux

package state

import "net"

// soonAgain does nothing: there is no such setting of a connection.
func soonAgain(net.Conn) {}
