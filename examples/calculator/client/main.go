// Client asks a calculator over UDP:
//
//	client [-op +|*] [-s] HOST PORT INTEGER...
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	op := flag.String("op", "+", "`operation`: + or *")
	text := flag.Bool("s", false, "ask for the result as text, which may have 256 digits")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: client [-op +|*] [-s] HOST PORT INTEGER...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 3 {
		flag.Usage()
		os.Exit(2)
	}
	q := service.CalcRequest{String: *text}
	var err error
	if q.Op, err = service.ParseCalcOp(*op); err == nil {
		q.Ints, err = service.ParseCalcInts(flag.Args()[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(2)
	}
	conn, err := tincan.DialMessage(ctx, "udp://"+net.JoinHostPort(flag.Arg(0), flag.Arg(1)))
	if err == nil {
		defer conn.Close()
		var result string
		if result, err = service.Calc(ctx, conn, q, nil); err == nil {
			fmt.Println("Result:", result)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "client:", err)
	os.Exit(1) //nolint:gocritic // the system closes the socket
}
