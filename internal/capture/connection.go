package capture

// A Connection is one connection in a recording. Its methods copy what they
// are given and, but for [Options.Wait], return at once. They may be called at once; what one side sends is
// recorded in the order of the calls. Those of a nil Connection do nothing.
type Connection struct {
	w    *Writer
	flow flowState // the writer's goroutine's own, but for tuple and label, which do not change

	// These are guarded by w.mu.
	skipped [2]uint64 // bytes of each side that were lost since its last record
	unknown bool      // the beginning was lost
	closed  bool
}

// Data records bytes that a side sent, or one message, which may be empty; no
// bytes of a stream are nothing. What follows the side's End or a Reset is left out. A message longer than a UDP datagram can
// be (65,507 bytes) on a connection with a udp side counts as lost.
func (c *Connection) Data(from Side, p []byte) {
	if c == nil || len(p) == 0 && c.flow.label.kind == Stream {
		return
	}
	if c.flow.udp && len(p) > maxDatagram {
		c.w.mu.Lock()
		defer c.w.mu.Unlock()
		c.w.lose(len(p))
		return
	}
	c.put(record{op: Data, from: from}, p)
}

// End records that a side half-closed. UDP has nothing to show it with.
func (c *Connection) End(from Side) {
	if c != nil && !c.flow.udp {
		c.put(record{op: End, from: from}, nil)
	}
}

// Reset records that a side aborted the connection. UDP has nothing to show it with.
func (c *Connection) Reset(from Side) {
	if c != nil && !c.flow.udp {
		c.put(record{op: Reset, from: from}, nil)
	}
}

// Close tells that the connection is over. It records nothing: whether it
// was ended in order, reset or just left is told by End and Reset.
func (c *Connection) Close() {
	if c == nil {
		return
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if !c.closed {
		c.closed = true
		delete(c.w.taken, c.flow.tuple)
	}
}
