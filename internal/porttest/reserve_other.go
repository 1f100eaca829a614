//go:build !linux

// Package porttest finds TCP ports for programs that a test starts and can't ask which one port 0 became.
package porttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Reserve gives a TCP port of 127.0.0.1 that is free now: only Linux has a way to keep it. It is none of those that
// systems give out by themselves, which some connection might have before who is to listen there, or while that is down.
func Reserve(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}
