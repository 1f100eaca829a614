package cli

import (
	"io"
	"sync"
)

// maxPending is how much a lineWriter holds while its output takes nothing.
const maxPending = 1 << 20

// A lineWriter writes messages as lines. While one write is under way the lines that come are gathered for the
// next, so that output is prompt where messages are few and cheap where they are many.
type lineWriter struct {
	out  io.Writer
	done chan struct{} // closed when nothing will be written any more

	mu      sync.Mutex // guards what follows
	changed sync.Cond
	pending []byte
	closed  bool
	err     error
}

func newLineWriter(out io.Writer) *lineWriter {
	w := &lineWriter{out: out, done: make(chan struct{})}
	w.changed.L = &w.mu
	go w.run()
	return w
}

// write adds a line. It blocks while much is pending; an error ends all writing.
func (w *lineWriter) write(f *partsFormat, parts [][]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) > maxPending && w.err == nil {
		w.changed.Wait()
	}
	if w.err != nil {
		return w.err
	}
	w.pending = append(f.appendLine(w.pending, parts), '\n')
	w.changed.Broadcast()
	return nil
}

// close waits until all is written, and gives the error that ended it.
func (w *lineWriter) close() error {
	w.mu.Lock()
	w.closed = true
	w.changed.Broadcast()
	w.mu.Unlock()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *lineWriter) run() {
	defer close(w.done)
	var writing []byte
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.pending) == 0 && !w.closed {
			w.changed.Wait()
		}
		if len(w.pending) == 0 || w.err != nil {
			return
		}
		writing, w.pending = w.pending, writing[:0]
		w.changed.Broadcast()
		w.mu.Unlock()
		_, err := w.out.Write(writing)
		w.mu.Lock()
		w.err = err
		if err != nil {
			w.changed.Broadcast()
			return
		}
	}
}
