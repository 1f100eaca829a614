package service

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/tincan-ipc/tincan"
)

// CalcOptions are the patience of [Calc]. The zero value works.
type CalcOptions struct {
	// Timeout is how long one try waits for the reply. Zero or negative means 1 s.
	Timeout time.Duration
	// Tries is how often the question is sent at most. Zero or negative means 3.
	Tries int
}

// Calc asks the calculator at the other end of conn and gives the result in
// decimal digits. A question or reply that the network lost is asked for
// again, which does no harm. It blocks until the reply is there, every try
// timed out ([os.ErrDeadlineExceeded]) or ctx ends. o may be nil.
//
// A refusal by the calculator is a [*CalcError], a reply that is none a
// [*frame.ProtocolError]; a port where nobody listens is refused at once. The
// protocol has no number for a question, so a conn should carry one at a time, and
// after a retry no other: a late reply could be taken for the next one's.
func Calc(ctx context.Context, conn tincan.MessageConn, q CalcRequest, o *CalcOptions) (string, error) {
	if o == nil {
		o = &CalcOptions{}
	}
	timeout, tries := o.Timeout, o.Tries
	if timeout <= 0 {
		timeout = time.Second
	}
	if tries <= 0 {
		tries = 3
	}
	request, err := q.Append(nil)
	if err != nil {
		return "", err
	}
	var reply [1 + maxCalcPayload]byte
	for range tries {
		n, err := calcTry(ctx, conn, request, reply[:], timeout)
		if err == nil {
			return DecodeCalcReply(reply[:n], q.String)
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
			return "", err
		}
	}
	return "", &net.OpError{
		Op: "read", Net: conn.LocalAddr().Network(), Source: conn.LocalAddr(), Addr: conn.RemoteAddr(),
		Err: os.ErrDeadlineExceeded,
	}
}

// calcTry sends the request once and waits for a reply.
func calcTry(ctx context.Context, conn tincan.MessageConn, request, reply []byte, timeout time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := conn.WriteMessage(ctx, request); err != nil {
		return 0, err
	}
	n, err := conn.ReadMessage(ctx, reply)
	switch {
	case errors.Is(err, io.ErrShortBuffer):
		return 0, calcFault(len(reply), "reply is too long")
	case errors.Is(err, io.EOF):
		return 0, io.ErrUnexpectedEOF // the server ended before it answered
	}
	return n, err
}
