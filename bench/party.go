package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"
)

// A party is one side of a contender in Go. It runs in a process of its own
// until it is done or ctx ends; a client prints one number.
type party func(ctx context.Context, args []string) error

// The environment of a process that is a party.
const (
	partyEnv   = "TINCAN_BENCH_PARTY"   // set: the arguments name a party
	profileEnv = "TINCAN_BENCH_PROFILE" // a folder: profiles are written there
)

var errUsage = errors.New("wrong arguments")

// runParty is main in such a process.
func runParty(args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	for _, s := range suites() {
		p, ok := s.parties[args[0]]
		if !ok {
			continue
		}
		ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer cancel()
		stop, err := profile(args[0])
		if err != nil {
			return err
		}
		return errors.Join(p(ctx, args[1:]), stop())
	}
	return fmt.Errorf("no such party: %s", args[0])
}

// profile begins a CPU profile where one is asked for; stop writes it, and one of the memory.
func profile(name string) (stop func() error, err error) {
	dir := os.Getenv(profileEnv)
	if dir == "" {
		return func() error { return nil }, nil
	}
	stem := filepath.Join(dir, fmt.Sprintf("%s-%d", name, os.Getpid()))
	cpu, err := os.Create(stem + ".cpu")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(err, cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		heap, err := os.Create(stem + ".heap")
		if err != nil {
			return errors.Join(err, cpu.Close())
		}
		runtime.GC() // what it shows is then what lives
		return errors.Join(pprof.WriteHeapProfile(heap), heap.Close(), cpu.Close())
	}, nil
}
