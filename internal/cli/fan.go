package cli

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// A fan hands each chunk of the input to every client connected at that
// moment. What it holds is bounded by one outbox, for clients share the chunks.
type fan struct {
	mu    sync.Mutex // guards what follows
	boxes map[*outbox]struct{}
	ended bool
	some  chan struct{} // closed while there is a client, or the input has ended
}

func newFan() *fan { return &fan{boxes: map[*outbox]struct{}{}, some: make(chan struct{})} }

const (
	// outboxSize bounds what waits for one client.
	outboxSize = 1 << 20
	// patience is how long a full outbox holds up the input before its client is dropped.
	patience = time.Second
)

var errTooSlow = errors.New("dropped, for it took nothing of the input for " + patience.String())

// join adds a client; drop must end its session.
func (f *fan) join(drop context.CancelCauseFunc) *outbox {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := &outbox{drop: drop, room: make(chan struct{}, 1), ready: make(chan struct{}, 1), left: make(chan struct{}), ended: f.ended}
	f.boxes[o] = struct{}{}
	if len(f.boxes) == 1 && !f.ended {
		close(f.some)
	}
	return o
}

// leave removes a client, and ends its reads.
func (f *fan) leave(o *outbox) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.boxes, o)
	if len(f.boxes) == 0 && !f.ended {
		f.some = make(chan struct{})
	}
	close(o.left)
}

// wait blocks until there is a client, so that no input is read for nobody.
func (f *fan) wait(ctx context.Context) bool {
	f.mu.Lock()
	some := f.some
	f.mu.Unlock()
	select {
	case <-some:
		return true
	case <-ctx.Done():
		return false
	}
}

// send gives chunk, which must not change any more, to every client. It waits
// for those that are behind, and drops them when they don't move.
func (f *fan) send(chunk []byte) {
	for _, o := range f.members() {
		if !o.put(chunk) {
			o.drop(errTooSlow)
		}
	}
}

// end tells the clients of now and of later that the input has ended.
func (f *fan) end() {
	f.mu.Lock()
	if !f.ended && len(f.boxes) == 0 {
		close(f.some)
	}
	f.ended = true
	f.mu.Unlock()
	for _, o := range f.members() {
		o.end()
	}
}

func (f *fan) members() []*outbox {
	f.mu.Lock()
	defer f.mu.Unlock()
	members := make([]*outbox, 0, len(f.boxes))
	for o := range f.boxes {
		members = append(members, o)
	}
	return members
}

// An outbox is what waits for one client. As an [io.Reader] it is that
// client's share of the input. One goroutine reads, one other puts.
type outbox struct {
	drop  context.CancelCauseFunc
	room  chan struct{} // told when something was taken out
	ready chan struct{} // told when something was put in, or the input ended
	left  chan struct{} // closed when the client has gone

	mu    sync.Mutex // guards what follows
	queue [][]byte
	size  int
	ended bool
	rest  []byte // of the chunk that Read is in the middle of; the reader's own
}

// put queues chunk. It waits for room as long as the client goes on taking,
// and reports false when nothing was taken within the time of patience.
func (o *outbox) put(chunk []byte) bool {
	for {
		o.mu.Lock()
		if o.size == 0 || o.size+len(chunk) <= outboxSize {
			o.queue = append(o.queue, chunk)
			o.size += len(chunk)
			o.mu.Unlock()
			wake(o.ready)
			return true
		}
		o.mu.Unlock()
		select {
		case <-o.room:
		case <-o.left:
			return true
		case <-time.After(patience):
			return false
		}
	}
}

func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	wake(o.ready)
}

// next waits for the next chunk. After the last one, and when the client has
// gone, the error is [io.EOF].
func (o *outbox) next() ([]byte, error) {
	for {
		o.mu.Lock()
		if len(o.queue) > 0 {
			chunk := o.queue[0]
			o.queue[0] = nil
			o.queue = o.queue[1:]
			o.size -= len(chunk)
			o.mu.Unlock()
			wake(o.room)
			return chunk, nil
		}
		ended := o.ended
		o.mu.Unlock()
		if ended {
			return nil, io.EOF
		}
		select {
		case <-o.ready:
		case <-o.left:
			return nil, io.EOF
		}
	}
}

func (o *outbox) Read(p []byte) (int, error) {
	for len(o.rest) == 0 {
		chunk, err := o.next()
		if err != nil {
			return 0, err
		}
		o.rest = chunk
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

// wake tells whoever waits on c, or the next one to.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sharedWriter lets several clients write to one output, each write whole.
type sharedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sharedWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}
