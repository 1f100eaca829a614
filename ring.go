package tincan

// A ring is a queue that takes memory as it needs it and reuses it. The zero value is empty.
type ring[T any] struct {
	buf   []T
	first int // index of the oldest
	n     int
}

// ringKeep is the length up to which an empty ring keeps its memory.
const ringKeep = 1 << 20

// put appends p.
func (r *ring[T]) put(p []T) {
	if r.n+len(p) > len(r.buf) {
		r.grow(r.n + len(p))
	}
	end := r.first + r.n
	if end >= len(r.buf) {
		end -= len(r.buf)
	}
	copied := copy(r.buf[end:], p)
	copy(r.buf, p[copied:])
	r.n += len(p)
}

// grow makes room for n, the next power of two.
func (r *ring[T]) grow(n int) {
	size := max(64, len(r.buf))
	for size < n {
		size *= 2
	}
	buf := make([]T, size)
	r.peek(buf)
	r.buf, r.first = buf, 0
}

// peek copies the oldest into p and gives how many.
func (r *ring[T]) peek(p []T) int {
	p = p[:min(len(p), r.n)]
	copied := copy(p, r.buf[r.first:])
	copy(p[copied:], r.buf)
	return len(p)
}

// take moves the oldest into p and gives how many.
func (r *ring[T]) take(p []T) int {
	n := r.peek(p)
	r.drop(n)
	return n
}

// drop removes the n oldest.
func (r *ring[T]) drop(n int) {
	r.n -= n
	if r.n == 0 {
		r.first = 0 // so that what comes next lies in one piece
		if len(r.buf) > ringKeep {
			r.buf = nil
		}
		return
	}
	r.first += n
	if r.first >= len(r.buf) {
		r.first -= len(r.buf)
	}
}
