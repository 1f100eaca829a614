package service

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"

	"github.com/tincan-ipc/tincan"
)

// chargenService sends lines of printable characters (RFC 864): to a stream
// without end, to each datagram one of a random 0 to 512 characters.
//
// A datagram's sender is easily forged, and the answer is longer than the
// request, so only peers on this host are answered over UDP.
var chargenService = Service{
	Name:    "chargen",
	Summary: "sends lines of characters without end",
	Stream:  chargenStream,
	Message: plain("chargen", chargenMessage),
	Try: func(e *tincan.Endpoint) string {
		if e.Streams() {
			return tryListen("")(e) + " | head -n 5"
		}
		return tryListen("")(e)
	},
}

const (
	chargenLine = 72 // characters of a line
	firstChar   = int(' ')
	lastChar    = int('~')
	charCount   = lastChar - firstChar + 1
)

// chargenPage is the whole pattern: each line begins one character later, and after so many lines it repeats.
var chargenPage = func() []byte {
	page := make([]byte, 0, charCount*(chargenLine+2))
	for line := range charCount {
		for i := range chargenLine {
			page = append(page, byte(firstChar+(line+i)%charCount))
		}
		page = append(page, "\r\n"...)
	}
	return page
}()

// chargenStream sends until the peer closes. What it receives is thrown away
// meanwhile, in a goroutine of its own, lest a peer that only sends is stuck.
func chargenStream(ctx context.Context, conn net.Conn) error {
	received := make(chan struct{})
	go func() {
		defer close(received)
		_, _ = io.Copy(io.Discard, conn) // its end is no news: writing notices
	}()
	defer func() {
		_ = conn.SetReadDeadline(past)
		<-received
	}()
	// In a drain there is nothing worth waiting for.
	if !wakeOnDrain(ctx, wakeWriter) {
		return nil
	}
	for {
		if _, err := conn.Write(chargenPage); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			}
			return err
		}
	}
}

const maxChargenDatagram = 512

// chargenMessage answers a peer on this host.
func chargenMessage(ctx context.Context, _ []byte) ([]byte, error) {
	if a, ok := Peer(ctx).(*net.UDPAddr); ok && !a.IP.IsLoopback() {
		return nil, nil
	}
	start := rand.IntN(charCount) * (chargenLine + 2)
	n := rand.IntN(maxChargenDatagram + 1)
	reply := make([]byte, 0, n)
	for len(reply) < n {
		reply = append(reply, chargenPage[start:min(start+n-len(reply), len(chargenPage))]...)
		start = 0
	}
	return reply, nil
}
