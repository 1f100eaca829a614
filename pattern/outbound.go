package pattern

import (
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/tincan-ipc/tincan/internal/wait"
	"github.com/tincan-ipc/tincan/zmtp"
)

const (
	// keepBuffer is the length up to which an idle queue keeps its buffer.
	keepBuffer = 512
	// poolBuffer is the length up to which a buffer is used again by others.
	poolBuffer = 256 << 10
	// unbuffered is the length from which a message is written from the caller's memory where the queue is idle.
	unbuffered = 8 << 10
	// maxStreak bounds the messages in a row that senders write themselves.
	maxStreak = 64
)

// An outbound queue is what waits to be sent to one peer: whole messages and
// commands, one after another, as frames without encryption.
//
// At any time at most one goroutine writes: the one that has set writing. Where messages come one at a time that is
// the sender itself, which spares the change of goroutines. Where they come faster it is a
// writer, which is started for as long as there is something to write, for then
// one write takes many along. Credit decides: a write by a sender takes one, a read of no more than one message
// from the peer gives one (an answer is likely to be waited for, and likely to be the only one), and a
// writer that found a single message gives a growing streak.
type outbound struct {
	mu      sync.Mutex  // guards what follows
	before  fifo[batch] // what is queued, but for
	last    batch       // the newest, to which is added
	msgs    int         // messages in both
	bytes   int
	writing bool
	starved bool // somebody found no room, and waits for the socket's news
	dead    bool // nothing is queued or written any more
	credit  int
	streak  int
	spare   []byte    // a short buffer
	idle    wait.Gate // writing is false again
	counts  Counters

	// What is being written is of the goroutine that has set writing.
	current []byte // messages and commands: a batch
	shared  bool   // it is of other queues, too
	wire    []byte // current as it goes on the wire: itself, unless it is encrypted
	off     int    // what of wire is written
	sealed  []byte // the buffer of wire where it isn't current
}

// A batch is messages and commands that are written together.
type batch struct {
	buf    []byte
	msgs   int
	shared bool // buf is one message that other queues hold, too: it is never written to, nor used again
}

// An outgoing message, of which a sender holds what parts and frames refer to.
type outgoing struct {
	frames []byte   // whole frames that go before parts, or the whole message
	parts  [][]byte // may be empty
	size   int      // of all, as frames
	forced bool     // it is queued even where there is no room
}

// message makes an outgoing message of parts. No parts at all are one empty part.
func message(parts [][]byte) outgoing {
	if len(parts) == 0 {
		parts = [][]byte{nil}
	}
	m := outgoing{parts: parts}
	for _, part := range parts {
		m.size += frameSize(len(part))
	}
	return m
}

// appendTo appends m's frames to dst.
func (m *outgoing) appendTo(dst []byte) []byte {
	dst = append(dst, m.frames...)
	for i, part := range m.parts {
		dst = zmtp.AppendFrame(dst, m.flags(i), part)
	}
	return dst
}

// flags gives those of the part number i.
func (m *outgoing) flags(i int) zmtp.Flags {
	if i < len(m.parts)-1 {
		return zmtp.FlagMore
	}
	return 0
}

// A verdict is what an outbound queue said of a message.
type verdict int

const (
	queued verdict = iota
	noRoom
	gone // the peer is dead
)

// A job is what the goroutine that queued a message owes the queue, once it holds no locks: a call of [peer.work].
type job int

const (
	noJob    job = iota
	startJob     // start a writer
	writeJob     // write what is current
	largeJob     // write the message itself, which was not queued
)

// An encoding is a message as frames, made when the first queue takes it, that all hold which do. It isn't a
// part of the message, for then what a sender sends, and the slice of its parts, would have to be on the heap.
type encoding struct{ frames []byte }

// enqueue queues m. It never blocks. Where once is not nil it is m's, for all queues that m is offered to.
func (p *peer) enqueue(m *outgoing, once *encoding) (verdict, job) {
	q := &p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.dead:
		return gone, noJob
	case !m.forced && q.full(p, m.size):
		return noRoom, noJob
	}
	q.counts.Sent++
	q.counts.SentBytes += uint64(m.size)
	if once != nil {
		if once.frames == nil {
			once.frames = m.appendTo(make([]byte, 0, m.size))
		}
		q.append(batch{buf: once.frames, msgs: 1, shared: true})
		return queued, p.claim()
	}
	if m.size >= unbuffered && !q.writing && p.raw.vectors(m) && !p.session.Secure() {
		q.writing = true
		return queued, largeJob
	}
	q.reserve(m.size)
	q.last.buf = m.appendTo(q.last.buf)
	q.last.msgs++
	q.msgs++
	q.bytes += m.size
	return queued, p.claim()
}

// append queues a batch as it is. q.mu is held.
func (q *outbound) append(b batch) {
	if len(q.last.buf) > 0 {
		q.before.push(q.last)
		q.last = batch{}
	}
	q.before.push(b)
	q.msgs += b.msgs
	q.bytes += len(b.buf)
}

// full reports whether there is no room for size bytes more, and notes that
// somebody waits for it. A single message has room always. q.mu is held.
func (q *outbound) full(p *peer, size int) bool {
	full := q.msgs > 0 && (q.msgs >= p.s.opts.SendHighWater || q.bytes+size > p.s.opts.SendBytes)
	q.starved = q.starved || full
	return full
}

func (q *outbound) isFull(p *peer) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full(p, 0)
}

// control queues frames that are not the program's messages: commands and
// subscriptions. There is room for them always, and it is the caller who bounds them.
func (p *peer) control(frames []byte) {
	p.work(p.enqueueControl(frames, math.MaxInt), nil)
}

// pong is control for what a peer can make this end send: while it doesn't read, that is dropped.
func (p *peer) pong(frames []byte) {
	p.work(p.enqueueControl(frames, p.s.opts.SendBytes), nil)
}

func (p *peer) enqueueControl(frames []byte, limit int) job {
	q := &p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dead || q.bytes >= limit {
		return noJob
	}
	q.reserve(len(frames))
	q.last.buf = append(q.last.buf, frames...)
	q.bytes += len(frames)
	return p.claim()
}

// claim makes sure that somebody writes what is queued. p.out.mu is held.
func (p *peer) claim() job {
	q := &p.out
	if q.writing {
		return noJob
	}
	q.writing = true
	if p.raw == nil || q.credit <= 0 {
		return startJob
	}
	q.credit--
	p.swap()
	return writeJob
}

// swap makes the oldest batch current. p.out.mu is held, and writing is the caller's.
func (p *peer) swap() {
	q := &p.out
	var b batch
	if q.before.len() > 0 {
		b = q.before.pop()
	} else {
		b = q.last
		q.last, q.spare = batch{buf: q.spare}, nil
	}
	q.current, q.shared, q.off = b.buf, b.shared, 0
	q.msgs -= b.msgs
	q.bytes -= len(b.buf)
	q.wire = q.current
	if p.session.Secure() {
		q.sealed = sealAll(p.session, q.sealed[:0], q.current)
		q.wire = q.sealed
	}
}

// sealAll appends the frames of plain to dst as they go on the wire.
func sealAll(s *zmtp.Session, dst, plain []byte) []byte {
	for len(plain) > 0 {
		var f zmtp.Flags
		var body []byte
		f, body, plain = cut(plain)
		dst = s.Seal(dst, f, body)
	}
	return dst
}

// reserve makes room for size bytes more in the last batch, or begins another.
func (q *outbound) reserve(size int) {
	old := q.last.buf
	need := len(old) + size
	switch {
	case need <= cap(old):
		return
	case need <= keepBuffer:
		q.last.buf = make([]byte, 0, keepBuffer)
	case need <= bufferSize:
		q.last.buf = newBuffer(need)
	default:
		if len(old) > 0 {
			q.before.push(q.last)
		} else {
			q.recycle(old)
		}
		q.last = batch{}
		q.last.buf = newBuffer(size)
		return
	}
	q.last.buf = append(q.last.buf, old...)
	q.recycle(old)
}

// bufferSize is the length of a batch of many messages: a thousand of 64 bytes fit in.
const bufferSize = 80 << 10

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bufferSize)
	return &b
}}

// newBuffer gives an empty buffer with room for size bytes.
func newBuffer(size int) []byte {
	if size <= bufferSize {
		return *buffers.Get().(*[]byte)
	}
	return make([]byte, 0, size)
}

// recycle keeps b for later.
func (q *outbound) recycle(b []byte) {
	switch b = b[:0]; {
	case cap(b) == 0:
	case cap(b) <= keepBuffer:
		q.spare = b
	case cap(b) >= bufferSize && cap(b) <= poolBuffer:
		putBuffer(b)
	}
}

func putBuffer(b []byte) { buffers.Put(&b) }

// work does what a message or command that was queued is owed. It must be
// called without locks, and blocks no longer than a write that doesn't wait.
func (p *peer) work(j job, m *outgoing) {
	switch j {
	case startJob:
		p.s.wg.Go(p.writer)
	case writeJob:
		n, err := p.raw.tryWrite(p.out.wire)
		p.written(n, err)
	case largeJob:
		n, err := p.raw.tryWriteMessage(m)
		if err != nil || n < m.size {
			p.out.current, p.out.shared = m.appendTo(newBuffer(m.size)), false
			p.out.wire, p.out.off = p.out.current, 0
		}
		p.writtenOf(n, m.size, err)
	}
}

// written notes that a sender has written n bytes of what is current.
func (p *peer) written(n int, err error) { p.writtenOf(n, len(p.out.wire), err) }

func (p *peer) writtenOf(n, size int, err error) {
	q := &p.out
	q.mu.Lock()
	switch {
	case err != nil:
		q.off += n
		q.writing = false
		q.idle.Open()
		q.mu.Unlock()
		p.kill(err)
	case n < size:
		q.off += n
		q.mu.Unlock()
		p.s.wg.Go(p.writer)
	default:
		p.settle()
		more := q.bytes > 0
		if !more {
			q.writing = false
			q.idle.Open()
		}
		q.mu.Unlock()
		if more {
			p.s.wg.Go(p.writer)
		}
	}
}

// settle forgets what was current, all of which is written. p.out.mu is held.
func (p *peer) settle() {
	q := &p.out
	if q.current != nil && !q.shared {
		q.recycle(q.current)
	}
	q.current, q.wire, q.off = nil, nil, 0
	if cap(q.sealed) > keepBuffer {
		q.recycle(q.sealed)
		q.sealed = nil
	}
}

// write is the writer: it writes until nothing is queued.
func (p *peer) write() {
	q := &p.out
	if q.off == 0 {
		runtime.Gosched() // senders that are ready to run add their messages to this write
	}
	for {
		if q.off == len(q.wire) && !p.takeBatch() {
			return
		}
		n, err := p.conn.Write(q.wire[q.off:])
		q.off += n
		if err != nil {
			p.stopWriting()
			p.kill(err)
			return
		}
	}
}

// takeBatch makes current what is queued. Where that is nothing, or the peer is dead, it ends the writing.
func (p *peer) takeBatch() bool {
	q := &p.out
	q.mu.Lock()
	p.settle()
	if q.bytes == 0 || q.dead {
		q.writing = false
		q.idle.Open()
		q.mu.Unlock()
		return false
	}
	if q.msgs > 1 {
		q.streak, q.credit = 0, 0
	} else {
		q.streak = min(max(1, 2*q.streak), maxStreak)
		q.credit = q.streak
	}
	p.swap()
	// Senders wait until half is free, so that they don't come for each message.
	room := q.starved && q.msgs <= p.s.opts.SendHighWater/2 && q.bytes <= p.s.opts.SendBytes/2
	if room {
		q.starved = false
	}
	q.mu.Unlock()
	if room {
		p.s.inbox.letGo(p)
		p.s.news.raise()
	}
	return true
}

func (p *peer) stopWriting() {
	q := &p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = false
	q.idle.Open()
}

// earnCredit gives how many messages were sent. The reader calls it when something has come, that many
// whole messages. Where that isn't several it lets the next sender write by itself: to several there are several answers,
// and one that goes ahead of the others costs both ends a system call and more.
func (p *peer) earnCredit(msgs int) (sent uint64) {
	q := &p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	if msgs <= 1 {
		q.credit = max(q.credit, 1)
	}
	return q.counts.Sent
}

// unsent gives the messages, as frames, of which the system has not taken the last byte. The peer is
// dead, and nobody writes.
func (p *peer) unsent() []byte {
	q := &p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.current
	for wire, off := q.wire, q.off; off > 0 && len(left) > 0; {
		after, wireLen := nextUnit(left, wire)
		if wireLen > off {
			break
		}
		off -= wireLen
		left, wire = after, wire[wireLen:]
	}
	left = slices.Clip(left)
	for q.before.len() > 0 {
		left = append(left, q.before.pop().buf...)
	}
	left = append(left, q.last.buf...)
	q.last, q.msgs, q.bytes = batch{}, 0, 0
	q.current, q.wire, q.sealed, q.spare, q.off = nil, nil, nil, nil, 0
	return left
}

// nextUnit takes the next message or command off plain, and gives its length on the wire, where the same frames are.
func nextUnit(plain, wire []byte) (rest []byte, wireLen int) {
	before := len(wire)
	for {
		f, _, after := cut(plain)
		_, _, wire = cut(wire)
		if plain = after; f&zmtp.FlagMore == 0 {
			return plain, before - len(wire)
		}
	}
}
