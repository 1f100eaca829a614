//go:build !linux

package cli

import (
	"net"
	"strconv"
	"testing"
)

// reservePort gives a TCP port of this host that is free now: only Linux has a way to keep it.
func reservePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}
