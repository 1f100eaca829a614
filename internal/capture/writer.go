package capture

import (
	"bufio"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Options are a [Writer]'s. The zero value works.
type Options struct {
	// Buffer bounds the memory, in bytes, that holds what is not yet written.
	// Zero means 16 MiB.
	Buffer int
	// Wait is how long a call may be held up when the buffer is full, because the
	// disk is slower than the traffic. What then still finds no room is lost,
	// and told: see [Writer.Lost]. Once a call has waited in vain, no other waits until
	// the disk has gone on. Zero or negative: traffic is never held up.
	Wait time.Duration
	// OnError is told, once, that writing failed and recording has stopped. It
	// is called from the writer's goroutine and must not call Close. It may be nil.
	OnError func(error)
}

const (
	defaultBuffer = 16 << 20
	fileBuffer    = 256 << 10
	recordBytes   = 128 // what a record costs beside its payload, rounded up
	// reserve is room that data leaves to the beginnings and ends of connections.
	reserve = 256 << 10
)

// A Writer records connections into one file. A goroutine of its own writes,
// so that a slow or full disk can't fail the traffic. All methods may be called at
// once; those of a nil Writer do nothing.
type Writer struct {
	options Options
	limit   int // of a batch: one is filled while another is written
	done    chan struct{}
	wake    chan struct{} // holds a value when there is something to take

	// These are the goroutine's own.
	file wholeBlocks
	buf  *bufio.Writer
	out  *pcapgo.NgWriter
	pack packer

	mu      sync.Mutex // guards what follows and the fields of each Connection that say so
	queue   batch
	room    chan struct{} // closed when the queue is taken; nil when nobody waits
	stalled bool          // a call has waited in vain
	closed  bool
	err     error // that ended the recording
	number  uint64
	taken   map[tuple]bool
	lost    Lost
	dropped uint64 // the part of lost.Events that no packet has told yet
}

// Lost counts what a recording lacks because there was no room for it.
type Lost struct {
	Events uint64 // reads of a stream, messages, beginnings and ends
	Bytes  uint64
}

// A batch is records in order, with their payloads one after the other.
type batch struct {
	records []record
	payload []byte
}

func (b *batch) size() int { return len(b.records)*recordBytes + len(b.payload) }

// A record is one event on its way to the file.
type record struct {
	conn    *Connection
	at      time.Time
	op      Op
	begin   bool // the connection's beginning, whatever op says
	from    Side
	size    int    // of the payload
	skipped uint64 // bytes that were lost before it
	dropped uint64 // events of any connection that were lost before it
}

// Create makes or truncates the file, with mode 0600, for it will hold
// whatever passed. It is valid from then on, and what has passed is in it soon. o may be nil.
func Create(path string, o *Options) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	w, err := newWriter(f, o)
	if err != nil {
		_ = f.Close() // the error to tell is the first
		return nil, err
	}
	return w, nil
}

// newWriter writes to file, which Close closes.
func newWriter(file io.WriteCloser, o *Options) (*Writer, error) {
	w := &Writer{
		file: wholeBlocks{WriteCloser: file}, pack: newPacker(),
		done: make(chan struct{}), wake: make(chan struct{}, 1), taken: map[tuple]bool{},
	}
	w.buf = bufio.NewWriterSize(&w.file, fileBuffer)
	if o != nil {
		w.options = *o
	}
	if w.options.Buffer <= 0 {
		w.options.Buffer = defaultBuffer
	}
	w.limit = w.options.Buffer / 2
	var err error
	w.out, err = pcapgo.NewNgWriterInterface(w.buf,
		pcapgo.NgInterface{
			Name: "tincan", LinkType: layers.LinkTypeRaw,
			Description: "packets made up by tincan from what passed; the comment of a connection's first packet names its endpoints",
		},
		pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "tincan", OS: runtime.GOOS, Hardware: runtime.GOARCH}})
	if err == nil {
		err = w.buf.Flush()
	}
	if err != nil {
		return nil, err
	}
	go w.run()
	return w, nil
}

// Connection begins a connection of the given kind, which first made to
// second. The addresses may be those of sockets or [*tincan.Endpoint] values, or
// nil. Its Close must be called when it is over. It does not fail: where
// recording has stopped, nothing is recorded.
func (w *Writer) Connection(kind Kind, first, second net.Addr) *Connection {
	if w == nil {
		return nil
	}
	c := &Connection{w: w}
	w.mu.Lock()
	w.number++
	t := tupleOf(kind, first, second, w.number, func(t tuple) bool { return w.taken[t] })
	w.taken[t] = true
	c.flow = newFlowState(t, label{kind: kind, number: w.number, addr: t.addr, name: [2]string{nameOf(first), nameOf(second)}})
	w.mu.Unlock()
	c.put(record{begin: true}, nil)
	return c
}

// Lost tells what has been lost until now for want of room.
func (w *Writer) Lost() Lost {
	if w == nil {
		return Lost{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// Close writes what is still buffered, which can take as long as the disk does, and
// closes the file. Connections that are still open record no more. The error is
// the one that ended the recording, the same that OnError was told.
func (w *Writer) Close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	w.closed = true
	w.makeRoom()
	w.mu.Unlock()
	w.signal()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// put queues r, which gets the time, with a copy of p; or counts it as lost.
func (c *Connection) put(r record, p []byte) {
	w := c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	r.at = time.Now()
	if w.closed || w.err != nil || c.closed {
		return
	}
	size, limit := len(p)+recordBytes, w.limit
	if r.op == Data && !r.begin {
		limit -= min(reserve, limit/2)
	}
	w.waitForRoom(size, limit)
	if w.closed || w.err != nil {
		return
	}
	if c.unknown || !w.fits(size, limit) {
		c.unknown = c.unknown || r.begin // without its beginning the rest would make no sense
		c.skipped[r.from] += uint64(len(p))
		w.lose(len(p))
		return
	}
	r.conn, r.size, r.skipped, r.dropped = c, len(p), c.skipped[r.from], w.dropped
	c.skipped[r.from], w.dropped = 0, 0
	w.queue.records = append(w.queue.records, r)
	w.queue.payload = append(w.queue.payload, p...)
	w.signal()
}

// lose counts an event with that many bytes. mu is held.
func (w *Writer) lose(size int) {
	w.lost.Events++
	w.lost.Bytes += uint64(size)
	w.dropped++
}

// fits tells whether the queue has room. An empty one always has: what comes
// is in memory already. mu is held.
func (w *Writer) fits(size, limit int) bool {
	return len(w.queue.records) == 0 || w.queue.size()+size <= limit
}

// waitForRoom waits for as long as the options allow. mu is held, but not while it waits.
func (w *Writer) waitForRoom(size, limit int) {
	if w.options.Wait <= 0 || w.fits(size, limit) {
		return
	}
	timer := time.NewTimer(w.options.Wait)
	defer timer.Stop()
	for !w.fits(size, limit) && !w.stalled && !w.closed && w.err == nil {
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room, late := w.room, false
		w.mu.Unlock()
		select {
		case <-room:
		case <-timer.C:
			late = true
		}
		w.mu.Lock()
		if late {
			w.stalled = true
			w.makeRoom() // nobody else waits in vain
		}
	}
}

// makeRoom wakes who waits for room. mu is held.
func (w *Writer) makeRoom() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// signal wakes the goroutine.
func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run is the goroutine: it writes batch after batch until Close or an error.
func (w *Writer) run() {
	defer close(w.done)
	err := w.writeAll()
	if err != nil {
		w.file.cut()
	}
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		return
	}
	w.mu.Lock()
	w.err = err
	w.queue = batch{}
	w.makeRoom()
	w.mu.Unlock()
	if w.options.OnError != nil {
		w.options.OnError(err)
	}
}

// writeAll writes batches, to the file whenever there is nothing more to do, and the totals at the end.
func (w *Writer) writeAll() error {
	var b batch
	for open := true; open; {
		b, open = w.take(b)
		if len(b.records) > 0 {
			if err := w.write(b); err != nil {
				return err
			}
			continue
		}
		if err := w.buf.Flush(); err != nil {
			return err
		}
		if open {
			<-w.wake
		}
	}
	return w.finish()
}

// take takes the queue, which may be empty, and leaves b's memory for the next. open is
// false once the Writer is closed and nothing is left.
func (w *Writer) take(b batch) (taken batch, open bool) {
	clear(b.records) // lets go of the connections
	b = batch{records: b.records[:0], payload: b.payload[:0]}
	w.mu.Lock()
	defer w.mu.Unlock()
	taken, w.queue = w.queue, b
	w.stalled = false
	w.makeRoom()
	return taken, !w.closed || len(taken.records) > 0
}

// write writes the packets of b.
func (w *Writer) write(b batch) error {
	payload := b.payload
	for i := range b.records {
		r := &b.records[i]
		if err := w.pack.write(w.out, r, payload[:r.size]); err != nil {
			return err
		}
		payload = payload[r.size:]
	}
	return nil
}

// finish writes the totals.
func (w *Writer) finish() error {
	err := w.out.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{
		LastUpdate: time.Now(), PacketsReceived: w.pack.packets, PacketsDropped: w.Lost().Events,
	})
	if err != nil {
		return err
	}
	return w.buf.Flush()
}
