// Package local opens the ends of a relay that no URL stands for, each as a
// [net.Conn]: the standard streams, files, inherited descriptors, the sockets
// that a service manager passes, and programs.
package local

import (
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/tincan-ipc/tincan"
)

// An End is a local end as a user names it: "stdio:", "file:PATH", "fd:N" or "systemd:NAME".
type End struct {
	// Scheme is one of [Schemes].
	Scheme string
	// Path is that of file.
	Path string
	// Append and Mode are how file is written to.
	Append bool
	Mode   fs.FileMode
	// FD is the descriptor of fd.
	FD int
	// Name is that of systemd's sockets; empty is all of them.
	Name string

	word string
}

// Schemes lists what the ends begin with.
var Schemes = []string{"stdio:", "file:", "fd:", "systemd:"}

// A Role is which side of a relay an end is.
type Role int

// The roles of an end.
const (
	From Role = iota // what it gives is sent on
	To               // what comes is written to it
)

// DefaultMode is the permission of a file that is created.
const DefaultMode fs.FileMode = 0o600

// Parse reads a word as an end. ok is false, and nothing else said, where it
// begins as none does. Every error is a [*tincan.EndpointError].
func Parse(word string, role Role) (e *End, ok bool, err error) {
	scheme, rest, found := strings.Cut(word, ":")
	e = &End{Scheme: strings.ToLower(scheme), Mode: DefaultMode, word: word}
	problem, remedy := "", ""
	switch {
	case !found:
		return nil, false, nil
	case e.Scheme == "stdio":
		if rest != "" {
			problem, remedy = "stdio takes nothing behind it", "write stdio:"
		}
	case e.Scheme == "file":
		problem, remedy = e.parseFile(rest, role)
	case e.Scheme == "fd":
		n, err := strconv.Atoi(rest)
		if e.FD = n; err != nil || n < 0 {
			problem, remedy = strconv.Quote(rest)+" is not the number of a descriptor", "it looks like fd:3"
		}
	case e.Scheme == "systemd":
		if e.Name = rest; role == To {
			problem, remedy = "systemd passes sockets to listen on, nothing to relay to", "make it the first of the two"
		}
	default:
		return nil, false, nil
	}
	if problem != "" {
		return nil, true, &tincan.EndpointError{Input: word, Problem: problem, Remedy: remedy}
	}
	return e, true, nil
}

func (e *End) parseFile(rest string, role Role) (problem, remedy string) {
	path, query, _ := strings.Cut(rest, "?")
	var err error
	if e.Path, err = url.PathUnescape(strings.TrimPrefix(path, "//")); err != nil {
		return err.Error(), "write %25 for a %, %3F for a question mark"
	}
	if e.Path == "" {
		return "has no path", "it looks like file:/path or file:relative"
	}
	if query == "" {
		return "", ""
	}
	if role == From {
		return "a file that is read takes no options", "append and mode are for one that is written; write %3F for a question mark in the path"
	}
	for pair := range strings.SplitSeq(query, "&") {
		switch key, value, given := strings.Cut(pair, "="); {
		case key == "append" && !given:
			e.Append = true
		case key == "mode" && given:
			mode, err := strconv.ParseUint(value, 8, 32)
			if err != nil || mode > 0o777 {
				return "mode " + strconv.Quote(value) + " is not an octal permission", "it looks like mode=0640"
			}
			e.Mode = fs.FileMode(mode)
		default:
			return "unknown option " + strconv.Quote(pair), "options are append and mode=0640; write %3F for a question mark in the path"
		}
	}
	return "", ""
}

// String gives the end as it was written.
func (e *End) String() string { return e.word }

// Network gives the scheme, so that an End is a [net.Addr].
func (e *End) Network() string { return e.Scheme }

// Same reports whether both are one regular file, which to write would be to destroy, or to read without end.
func (e *End) Same(other *End) bool {
	if e.Scheme != "file" || other.Scheme != "file" {
		return false
	}
	info, err := os.Stat(e.Path)
	otherInfo, otherErr := os.Stat(other.Path)
	return err == nil && otherErr == nil && info.Mode().IsRegular() && os.SameFile(info, otherInfo)
}

// Size gives how many bytes a file that is read holds; ok is false where that isn't known.
func (e *End) Size() (n int64, ok bool) {
	if e.Scheme != "file" {
		return 0, false
	}
	info, err := os.Stat(e.Path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}
