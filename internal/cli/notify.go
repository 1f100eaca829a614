package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/tincan-ipc/tincan/state"
)

// provideInput changes the state as standard input says. Nothing ends a read of that: when ctx does, the reader is left behind.
func provideInput(ctx context.Context, p *program, _ *serveFlags, t *state.Table) error {
	done := make(chan error, 1)
	go func() {
		done <- readChanges(p.stdin, t, func(line int, err error) { p.report.note("line %d of input: %v", line, err) })
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return nil
	}
}

// readChanges applies each line of r to t, and tells of those that it can't.
func readChanges(r io.Reader, t *state.Table, wrong func(line int, err error)) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if err == nil || errors.Is(err, io.EOF) && len(line) > 0 {
			if problem := applyLine(t, line); problem != nil {
				wrong(n, problem)
			}
		}
		switch {
		case errors.Is(err, errLongLine):
			wrong(n, err)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &localError{doing: "read standard input", err: err}
		}
	}
}

// errLongLine is a line that was left out.
var errLongLine = fmt.Errorf("it has more than %d bytes", state.MaxLine)

// readLine gives the next line without its end. One that is too long is read over.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		var part []byte
		part, err = r.ReadSlice('\n')
		if len(line) <= state.MaxLine {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if len(line) > state.MaxLine {
		return nil, errLongLine
	}
	return line, err
}

// applyLine does what a line of input says: key=value, or key= to delete it. An empty line says nothing.
func applyLine(t *state.Table, line []byte) error {
	if len(line) == 0 {
		return nil
	}
	key, value, ok := bytes.Cut(line, []byte("="))
	switch {
	case !ok:
		return errors.New("it is not key=value")
	case len(key) == 0:
		return fmt.Errorf("%w: it is empty", state.ErrKey)
	case len(value) == 0:
		t.Delete(string(key))
		return nil
	case json.Valid(value):
		return t.Set(string(key), json.RawMessage(value))
	case !utf8.Valid(value):
		return fmt.Errorf("%w: it is not UTF-8", state.ErrValue)
	}
	return t.Set(string(key), string(value))
}
