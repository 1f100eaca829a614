package narrate

import "github.com/tincan-ipc/tincan"

// Join gives a trace that tells a and then b. Either may be nil.
func Join(a, b *tincan.Trace) *tincan.Trace {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &tincan.Trace{
		Resolved:   both4(a.Resolved, b.Resolved),
		Connecting: both2(a.Connecting, b.Connecting),
		Connected:  both4(a.Connected, b.Connected),
		Handshaken: both4(a.Handshaken, b.Handshaken),
		Retrying:   both4(a.Retrying, b.Retrying),
		Listening:  both1(a.Listening, b.Listening),
		Accepted:   both2(a.Accepted, b.Accepted),
		Refused:    both3(a.Refused, b.Refused),
		Pausing:    both3(a.Pausing, b.Pausing),
		Dropped:    both3(a.Dropped, b.Dropped),
		HalfClosed: both2(a.HalfClosed, b.HalfClosed),
		Closed:     both4(a.Closed, b.Closed),
	}
}

func both1[A any](f, g func(A)) func(A) {
	if f == nil || g == nil {
		return either(f, g, f == nil)
	}
	return func(a A) { f(a); g(a) }
}

func both2[A, B any](f, g func(A, B)) func(A, B) {
	if f == nil || g == nil {
		return either(f, g, f == nil)
	}
	return func(a A, b B) { f(a, b); g(a, b) }
}

func both3[A, B, C any](f, g func(A, B, C)) func(A, B, C) {
	if f == nil || g == nil {
		return either(f, g, f == nil)
	}
	return func(a A, b B, c C) { f(a, b, c); g(a, b, c) }
}

func both4[A, B, C, D any](f, g func(A, B, C, D)) func(A, B, C, D) {
	if f == nil || g == nil {
		return either(f, g, f == nil)
	}
	return func(a A, b B, c C, d D) { f(a, b, c, d); g(a, b, c, d) }
}

// either gives g where f is nil, else f.
func either[F any](f, g F, isNil bool) F {
	if isNil {
		return g
	}
	return f
}
