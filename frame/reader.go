package frame

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// DefaultLimit is the size limit of a Reader that is given none.
const DefaultLimit = 16 << 20

const (
	firstBuffer = 4 << 10
	// keptBuffer is what a Reader keeps between messages; a larger one is given back.
	keptBuffer = 64 << 10
	// maxEmptyReads is how many reads in a row may give neither a byte nor an error.
	maxEmptyReads = 100
)

// A Reader takes messages off a stream. It reads ahead. It is not for several goroutines at once.
type Reader struct {
	r     io.Reader
	f     Framing
	limit int

	buf        []byte
	start, end int   // buf[start:end] was read and not yet given
	seen       int   // of these, bytes known to hold no delimiter
	offset     int64 // of buf[start] in the stream
	readErr    error // came with bytes, and is told when these are used up
	fault      error // ended the stream for good
}

// NewReader gives a Reader of r. A message may have up to limit bytes; zero or
// negative means [DefaultLimit].
func NewReader(r io.Reader, f Framing, limit int) *Reader {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Reader{r: r, f: f, limit: limit}
}

// Read gives the next message, which is valid until the next call. It blocks
// until that is whole or the stream's Read fails.
//
// The error is [io.EOF] between messages, [io.ErrUnexpectedEOF] within one,
// and a [*ProtocolError] for what is no frame; one that wraps [ErrTooLong] is
// over the limit. After a ProtocolError there is no way on. Any other error is
// the stream's own, and where that goes on (after a deadline, say) so does Read, with nothing lost.
func (r *Reader) Read() ([]byte, error) {
	s, err := r.next()
	if err != nil {
		return nil, err
	}
	msg := r.buf[r.start+int(s.head):][:s.size:s.size]
	r.start += int(s.end)
	r.offset += int64(s.end)
	r.seen = 0
	return msg, nil
}

// next waits until a whole frame is buffered, and leaves it there.
func (r *Reader) next() (span, error) {
	if r.fault != nil {
		return span{}, r.fault
	}
	for {
		have := r.buf[r.start:r.end]
		s, fault := r.f.scan(have, r.seen)
		size := s.size
		if s.end == 0 {
			r.seen = len(have)
			size = r.leastSize(have)
		}
		switch {
		case fault != "":
			return span{}, r.fail(fault, nil)
		case size > uint64(r.limit) && s.end != 0:
			return span{}, r.fail(fmt.Sprintf("message of %d bytes is over the limit of %d", size, r.limit), ErrTooLong)
		case size > uint64(r.limit):
			return span{}, r.fail(fmt.Sprintf("message is over the limit of %d bytes", r.limit), ErrTooLong)
		case s.end != 0 && s.end <= uint64(len(have)):
			return s, nil
		}
		switch err := r.fill(s.end); {
		case errors.Is(err, io.EOF) && r.start == r.end:
			return span{}, io.EOF
		case errors.Is(err, io.EOF) && r.f == Line:
			n := uint64(r.end - r.start)
			return span{size: n, end: n}, nil
		case errors.Is(err, io.EOF):
			return span{}, io.ErrUnexpectedEOF
		case err != nil:
			return span{}, err
		}
	}
}

// leastSize is how long the message must be at least whose frame begins with have and has no end there.
func (r *Reader) leastSize(have []byte) uint64 {
	if r.f != Line && r.f != NUL {
		return 0
	}
	n := len(have)
	if r.f == Line && n > 0 && have[n-1] == '\r' {
		n-- // it may belong to the line's end
	}
	return uint64(n)
}

// peek is next, but what it gives is told again by Read.
func (r *Reader) peek() (span, error) {
	s, err := r.next()
	if err != nil && r.fault == nil && r.readErr == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.readErr = err // a socket tells of a reset once
	}
	return s, err
}

func (r *Reader) fail(detail string, err error) error {
	r.fault = &ProtocolError{Offset: r.offset, Rule: r.f.String() + " framing", Detail: detail, Err: err}
	r.buf, r.start, r.end = nil, 0, 0
	return r.fault
}

// fill reads once, into a buffer that at most doubles, towards want bytes; 0 is unknown.
func (r *Reader) fill(want uint64) error {
	if err := r.readErr; err != nil {
		if !errors.Is(err, io.EOF) { // the end stays
			r.readErr = nil
		}
		return err
	}
	r.makeRoom(want)
	for range maxEmptyReads {
		n, err := r.r.Read(r.buf[r.end:])
		if n < 0 || n > len(r.buf)-r.end {
			return errors.New("frame: stream gave an invalid count from Read")
		}
		r.end += n
		if n > 0 {
			r.readErr = err
			return nil
		}
		if errors.Is(err, io.EOF) {
			r.readErr = err
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (r *Reader) makeRoom(want uint64) {
	have := r.end - r.start
	switch {
	case have == 0 && len(r.buf) > keptBuffer:
		r.buf, r.start, r.end = nil, 0, 0
	case have < len(r.buf) && r.start > 0:
		copy(r.buf, r.buf[r.start:r.end])
	}
	if have == len(r.buf) {
		size := max(firstBuffer, 2*len(r.buf))
		if want > firstBuffer && want < uint64(size) {
			size = int(want)
		}
		grown := make([]byte, size)
		copy(grown, r.buf[r.start:r.end])
		r.buf = grown
	}
	r.start, r.end = 0, have
}
