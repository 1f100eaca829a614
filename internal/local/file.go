package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// OpenFile opens a file in its role. The error is an [*os.PathError].
//
// As From it is read, and what is written to it is discarded. As To it is
// written, as a shell's > and >> do: symbolic links are followed, and what is there keeps its mode;
// what is created gets e.Mode whatever the umask. A terminal is both read and written.
//
// A FIFO blocks until its other end is opened, or ctx ends.
func (e *End) OpenFile(ctx context.Context, role Role) (net.Conn, error) {
	if f, err := openTerminal(e.Path); err == nil {
		return bothWays(e, wakeable(f)), nil
	}
	type opened struct {
		f   *os.File
		err error
	}
	c := make(chan opened, 1)
	go func() {
		var o opened
		if role == From {
			o.f, o.err = os.Open(e.Path)
		} else {
			o.f, o.err = e.create()
		}
		c <- o
	}()
	var o opened
	select {
	case o = <-c:
	case <-ctx.Done():
		go func() {
			if o := <-c; o.err == nil {
				_ = o.f.Close()
			}
		}()
		return nil, &os.PathError{Op: "open", Path: e.Path, Err: context.Cause(ctx)}
	}
	if o.err != nil {
		return nil, o.err
	}
	if info, err := o.f.Stat(); err == nil && info.IsDir() {
		_ = o.f.Close()
		return nil, &os.PathError{Op: "open", Path: e.Path, Err: errors.New("is a directory")}
	}
	if role == From {
		return oneWay(e, wakeable(o.f), nil), nil
	}
	return oneWay(e, nil, wakeable(o.f)), nil
}

// create opens the file to be written.
func (e *End) create() (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE
	if e.Append {
		flags |= os.O_APPEND
	}
	f, err := os.OpenFile(e.Path, flags|os.O_EXCL, e.Mode)
	if errors.Is(err, fs.ErrExist) {
		if !e.Append {
			flags |= os.O_TRUNC
		}
		return os.OpenFile(e.Path, flags, e.Mode)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(e.Mode); err != nil { // the umask may have taken from it
		return nil, errors.Join(fmt.Errorf("mode: %w", err), f.Close())
	}
	return f, nil
}
