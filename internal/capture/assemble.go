package capture

import (
	"container/heap"
	"net/netip"
	"time"
)

// An assembler sorts segments into flows and puts each direction in order.
type assembler struct {
	recording *Recording
	open      map[tuple]*assembly
	all       []*assembly
}

// An assembly is a flow that more segments may come for.
type assembly struct {
	flow  *Flow
	udp   bool
	reset bool
	half  [2]half
}

// A half is one direction of a TCP connection.
type half struct {
	known   bool   // what follows is
	base    uint32 // the sequence number of offset 0, the first byte
	next    int64  // the offset of the byte to come
	waiting later  // segments from beyond next
	ended   bool
	partial []byte // of a message
}

func newAssembler(r *Recording) *assembler {
	return &assembler{recording: r, open: map[tuple]*assembly{}}
}

// add takes the next segment of the file.
func (a *assembler) add(s segment) {
	key := tuple{udp: s.udp, addr: [2]netip.AddrPort{s.src, s.dst}}.sorted()
	c := a.open[key]
	if c == nil || c.replacedBy(s) {
		c = a.begin(s)
		a.open[key] = c
	}
	from := First
	if s.src != c.flow.Addr[First] {
		from = Second
	}
	if c.udp {
		c.flow.add(s.at, from, Data, s.payload)
		c.flow.Missing[from] += int64(s.cut)
		return
	}
	c.segment(from, s)
}

// begin opens a flow with s as its first packet.
func (a *assembler) begin(s segment) *assembly {
	c := &assembly{flow: &Flow{Addr: [2]netip.AddrPort{s.src, s.dst}, Start: s.at}, udp: s.udp}
	f := c.flow
	if s.udp {
		f.Kind = Messages
	}
	if l := s.label; l != nil && (tuple{addr: l.addr}).sorted() == (tuple{addr: f.Addr}).sorted() {
		f.Addr, f.Name = l.addr, l.name
		if !s.udp {
			f.Kind = l.kind
		}
	} else if s.syn && s.ack { // the SYN was not captured
		f.Addr = [2]netip.AddrPort{s.dst, s.src}
	}
	a.all = append(a.all, c)
	a.recording.Flows = append(a.recording.Flows, f)
	return c
}

// finish makes the best of what still waits for bytes that never came.
func (a *assembler) finish() {
	for _, c := range a.all {
		for _, from := range []Side{First, Second} {
			c.deliver(from, c.flow.Start, true)
			// A message whose end is not there is none.
			c.flow.Missing[from] += int64(len(c.half[from].partial))
		}
	}
}

// replacedBy tells whether s begins another connection between the same two ports.
func (c *assembly) replacedBy(s segment) bool {
	if s.label != nil || c.udp {
		return s.label != nil
	}
	if !s.syn || s.ack {
		return false
	}
	h := &c.half[First]
	if s.src != c.flow.Addr[First] {
		h = &c.half[Second]
	}
	again := h.known && h.base == s.seq+1 // the same SYN once more
	return !again || c.reset || c.half[First].ended && c.half[Second].ended
}

// segment takes a TCP segment.
func (c *assembly) segment(from Side, s segment) {
	h := &c.half[from]
	if c.reset {
		return
	}
	if s.syn {
		s.seq++
	}
	if !h.known && (!s.rst || s.seq != 0) { // not so the RST of a refused connection
		h.known, h.base = true, s.seq
	}
	offset := h.next + int64(int32(s.seq-h.base-uint32(h.next))) // sequence numbers are modulo 2^32
	if s.rst {
		for _, side := range []Side{First, Second} {
			c.deliver(side, s.at, true)
		}
		if h.known {
			c.flow.Missing[from] += max(0, offset-h.next)
		}
		c.reset = true
		c.flow.add(s.at, from, Reset, nil)
		return
	}
	if h.ended || len(s.payload) == 0 && !s.fin && !c.emptyMessage(h, offset, s) {
		return
	}
	heap.Push(&h.waiting, piece{offset: offset, data: s.payload, fin: s.fin, psh: s.psh})
	c.deliver(from, s.at, false)
}

// emptyMessage tells whether a segment without payload is the mark of an empty message, not an acknowledgement.
func (c *assembly) emptyMessage(h *half, offset int64, s segment) bool {
	return c.flow.Kind == Messages && s.psh && offset >= h.next && len(h.partial) == 0
}

// deliver makes events of what follows without a gap; of all that waits where gaps will not be filled any more.
func (c *assembly) deliver(from Side, at time.Time, gaps bool) {
	h := &c.half[from]
	for len(h.waiting) > 0 && !h.ended && (gaps || h.waiting[0].offset <= h.next) {
		p := heap.Pop(&h.waiting).(piece)
		if gap := p.offset - h.next; gap > 0 {
			c.flow.Missing[from] += gap
			h.next = p.offset
		}
		known := h.next - p.offset
		if known > int64(len(p.data)) {
			continue
		}
		data := p.data[known:]
		h.next += int64(len(data))
		switch {
		case c.flow.Kind == Messages && (len(data) > 0 || known == 0 && p.psh):
			c.message(from, at, data, p.psh)
		case len(data) > 0:
			c.flow.add(at, from, Data, data)
		}
		if p.fin {
			h.ended = true
			c.flow.add(at, from, End, nil)
		}
	}
}

// message gathers the segments of a message, of which end marks the last.
func (c *assembly) message(from Side, at time.Time, data []byte, end bool) {
	h := &c.half[from]
	if !end {
		h.partial = append(h.partial, data...)
		return
	}
	if len(h.partial) > 0 {
		data = append(h.partial, data...)
		h.partial = nil
	}
	c.flow.add(at, from, Data, data)
}

// A piece is a segment that waits for its turn.
type piece struct {
	offset   int64
	data     []byte
	fin, psh bool
}

// later is a heap of pieces, the lowest offset first.
type later []piece

func (l later) Len() int           { return len(l) }
func (l later) Less(i, j int) bool { return l[i].offset < l[j].offset }
func (l later) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *later) Push(p any)        { *l = append(*l, p.(piece)) }
func (l *later) Pop() any {
	old := *l
	p := old[len(old)-1]
	old[len(old)-1] = piece{}
	*l = old[:len(old)-1]
	return p
}
