package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

// syncTime is how long a publisher that does not tell where its current values end is waited for after the last of them.
const syncTime = time.Second

// cutSocket takes off endpoint what says that it is followed by a SUB socket.
func cutSocket(endpoint string) (rest string, ok bool) {
	for _, prefix := range []string{"pub+", "sub+"} {
		if rest, ok := strings.CutPrefix(endpoint, prefix); ok {
			return rest, true
		}
	}
	return endpoint, false
}

// A socketSource is a SUB socket with one connection.
type socketSource struct {
	sub    *pattern.Sub
	ctx    context.Context // until the connection ends
	cancel context.CancelCauseFunc

	begun  bool // a snapshot was told
	synced bool // the publisher has told where the current values end, and from there on numbers its messages upwards
	last   uint64
	known  map[string]*Change // until it is synced: the latest of each key, deletions too
}

// openSocket connects to a publisher and subscribes.
func openSocket(ctx context.Context, o *FollowOptions, endpoint string) (source, error) {
	var opts pattern.Options
	if o.Socket != nil {
		opts = *o.Socket
	}
	s := &socketSource{known: map[string]*Change{}}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	tell := opts.OnEvent
	opts.Dialer, opts.MaxMessage = o.Dialer, int64(o.MaxLine)
	opts.OnEvent = func(e pattern.Event) {
		if tell != nil {
			tell(e)
		}
		switch e.Kind {
		case pattern.EventRetrying, pattern.EventRefused: // a connection was lost, or not made
			if e.Err == nil {
				e.Err = io.ErrUnexpectedEOF
			}
			s.cancel(e.Err)
		}
	}
	s.sub = pattern.NewSub(&opts)
	err := s.sub.Dial(endpoint)
	if err == nil {
		err = s.sub.WaitPeers(s.ctx, 1)
	}
	if err == nil {
		err = s.subscribe(o.Prefixes)
	}
	if err != nil {
		err = causeOf(s.ctx, err)
		s.close()
		return nil, err
	}
	return s, nil
}

// subscribe asks for the prefixes, and then where the current values of them all end: a publisher hears it in this order.
func (s *socketSource) subscribe(list []string) error {
	topics := newPrefixes(list)
	if len(topics) == 0 {
		topics = prefixes{""}
	}
	for _, topic := range append(topics, syncTopic) {
		if err := s.sub.Subscribe(topic); err != nil {
			return err
		}
	}
	return nil
}

func (s *socketSource) close() {
	s.cancel(nil)
	_ = s.sub.Close() // nothing is sent
}

// next gives the next update.
func (s *socketSource) next() (Update, error) {
	for {
		parts, err := s.receive()
		switch {
		case err != nil:
			return Update{}, causeOf(s.ctx, err)
		case parts == nil:
			return s.snapshot(), nil
		case len(parts) != 2:
			return Update{}, fmt.Errorf("%w: a message of %d parts, want key and change", ErrProtocol, len(parts))
		}
		u, err := s.take(string(parts[0]), parts[1])
		if err != nil || u != (Update{}) {
			return u, err
		}
	}
}

// receive gives the next message, nil where none has come for so long that there are no more current values.
func (s *socketSource) receive() ([][]byte, error) {
	if s.begun {
		return s.sub.Recv(s.ctx)
	}
	ctx, cancel := context.WithTimeout(s.ctx, syncTime)
	defer cancel()
	parts, err := s.sub.Recv(ctx)
	if err != nil && s.ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	return parts, err
}

// snapshot gives what is known.
func (s *socketSource) snapshot() Update {
	values := make(map[string]json.RawMessage, len(s.known))
	for key, c := range s.known {
		if !c.Deleted() {
			values[key] = c.Value
		}
	}
	s.begun = true
	return Update{Snapshot: &Snapshot{Seq: s.last, Values: values}}
}

// take takes in a message. The update is empty where there is nothing to tell yet.
func (s *socketSource) take(key string, object []byte) (Update, error) {
	if key == syncTopic {
		if s.synced {
			return Update{}, nil
		}
		var end struct{ Seq uint64 }
		if err := json.Unmarshal(object, &end); err != nil {
			return Update{}, fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		s.synced, s.last = true, end.Seq
		u := s.snapshot()
		s.known = nil
		return u, nil
	}
	u, err := parseUpdate(object)
	c := u.Change
	switch {
	case err != nil:
		return Update{}, err
	case c == nil || c.Key != key:
		return Update{}, fmt.Errorf("%w: a message of %q with what is no change of it", ErrProtocol, key)
	case s.synced && c.Seq <= s.last:
		return Update{}, nil
	case s.synced:
		s.last = c.Seq
		return u, nil
	}
	old := s.known[key]
	switch {
	case old != nil && c.Seq > 0 && c.Seq <= old.Seq:
		return Update{}, nil
	case old == nil && len(s.known) >= DefaultMaxKeys:
		return Update{}, fmt.Errorf("%w: more than %d keys", ErrFull, DefaultMaxKeys)
	}
	s.known[key], s.last = c, max(s.last, c.Seq)
	if !s.begun {
		return Update{}, nil
	}
	return u, nil
}
