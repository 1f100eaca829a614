package pattern

import (
	"context"
	"net"
	"slices"

	"github.com/tincan-ipc/tincan"
)

// A listener is one that a socket listens with.
type listener struct {
	*tincan.Listener
	named string // what Listen was given, as String of its endpoint gives it
}

// canonical gives endpoint as String of what is parsed from it does.
func canonical(endpoint string) string {
	e, err := tincan.ParseEndpoint(endpoint)
	if err != nil {
		return endpoint
	}
	return e.String()
}

// Unlisten ends what Listen began at an endpoint: nobody is taken there any more, and a Unix path is removed.
// Peers that have come through it stay. The endpoint is named as Listen was told it, which ends all of that
// name, or by the address that Listen gave. It doesn't block.
//
// Errors are [ErrNoEndpoint], [net.ErrClosed] and those of closing the listener.
func (s *socket) Unlisten(endpoint string) error {
	name := canonical(endpoint)
	s.mu.Lock()
	var ended []*listener
	s.listeners = slices.DeleteFunc(s.listeners, func(l *listener) bool {
		named := l.named == name || l.Addr().String() == name
		if named {
			ended = append(ended, l)
		}
		return named
	})
	s.mu.Unlock()
	if len(ended) == 0 {
		return s.fail("unlisten", s.noEndpoint())
	}
	return closeAll(ended)
}

// Undial ends what Dial began at an endpoint, as often as it was dialled: it isn't dialled any more, and its connections end. What is
// queued for their peers is sent first, for [Options.Linger] at most. What is left then goes to other peers, or waits
// for the next, where the type shares its messages out (Push, Dealer, Pair, and Req and Client before the peer has
// got a request); else it is dropped and counted. What has arrived can still be received. Undial blocks until that is done.
//
// Errors are [ErrNoEndpoint] and [net.ErrClosed].
func (s *socket) Undial(endpoint string) error {
	name := canonical(endpoint)
	s.mu.Lock()
	n := len(s.dialled)
	s.dialled = slices.DeleteFunc(s.dialled, func(o *origin) bool {
		named := o.dialled.String() == name
		if named {
			o.cancel()
		}
		return named
	})
	found := len(s.dialled) < n
	for c, o := range s.greeting {
		if o.ended() {
			_ = c.Close()
		}
	}
	var peers []*peer
	for p := range s.peers {
		if p.origin.ended() {
			peers = append(peers, p)
		}
	}
	s.mu.Unlock()
	if !found {
		return s.fail("undial", s.noEndpoint())
	}
	ctx, cancel := s.lingering()
	defer cancel()
	if flushAll(ctx, peers) && s.opts.Linger != 0 {
		s.takeLeave(ctx, peers)
	}
	for _, p := range peers {
		p.kill(net.ErrClosed)
	}
	s.untilGone(context.Background(), peers)
	return nil
}

// noEndpoint says why s doesn't have an endpoint.
func (s *socket) noEndpoint() error {
	if s.closing.Load() {
		return net.ErrClosed
	}
	return ErrNoEndpoint
}
