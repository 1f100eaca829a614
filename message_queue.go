package tincan

import "encoding/binary"

// messageQueue holds messages one behind the other in one buffer, which is
// borrowed while there are any and grows with what is queued.
type messageQueue struct {
	buf   []byte  // records: a header of 4 bytes, the message
	start int     // where the first record begins
	lent  *[]byte // the pooled buffer that buf began as
}

const (
	queueHeader = 4
	queueCut    = 1 << 31 // in a header: the message was longer than what is queued of it
)

func (q *messageQueue) empty() bool { return q.start == len(q.buf) }

// push appends msg unless the queue would then hold more than limit bytes. An
// empty queue takes any message, as one that could never pass would be no limit but a fault.
func (q *messageQueue) push(msg []byte, cut bool, limit int) bool {
	if held := len(q.buf) - q.start; held > 0 && held+queueHeader+len(msg) > limit {
		return false
	}
	header := uint32(len(msg))
	if cut {
		msg, header = nil, queueCut
	}
	if need := queueHeader + len(msg); q.start > 0 && len(q.buf)+need > cap(q.buf) && q.start >= len(q.buf)/2 {
		q.buf = q.buf[:copy(q.buf, q.buf[q.start:])]
		q.start = 0
	}
	if q.buf == nil {
		q.lent = batchMemory.Get().(*[]byte)
		q.buf = (*q.lent)[:0]
	}
	q.buf = binary.NativeEndian.AppendUint32(q.buf, header)
	q.buf = append(q.buf, msg...)
	return true
}

// pop takes the first message off the queue, which is not empty. ok is false
// where it was cut or is longer than buf.
func (q *messageQueue) pop(buf []byte) (n int, ok bool) {
	header := binary.NativeEndian.Uint32(q.buf[q.start:])
	q.start += queueHeader
	if header&queueCut == 0 {
		n = copy(buf, q.buf[q.start:q.start+int(header)])
		ok = n == int(header)
		q.start += int(header)
	}
	if q.empty() {
		q.free()
	}
	return n, ok
}

// free empties the queue and gives its buffer back.
func (q *messageQueue) free() {
	if q.lent != nil {
		batchMemory.Put(q.lent)
	}
	*q = messageQueue{}
}

// next gives the length of the first message, 0 where there is none or it was cut.
func (q *messageQueue) next() int {
	if q.empty() {
		return 0
	}
	return int(binary.NativeEndian.Uint32(q.buf[q.start:]) &^ queueCut)
}

// moveTo makes b of all that is queued, without copying it.
func (q *messageQueue) moveTo(b *Batch) {
	for q.start < len(q.buf) {
		header := binary.NativeEndian.Uint32(q.buf[q.start:])
		q.start += queueHeader
		if header&queueCut != 0 {
			b.lost++
			continue
		}
		end := q.start + int(header)
		b.msgs = append(b.msgs, q.buf[q.start:end:end])
		q.start = end
	}
	b.mem, b.lent = q.buf, q.lent
	*q = messageQueue{}
}
