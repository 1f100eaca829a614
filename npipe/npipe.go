// Package npipe opens tincan's byte streams over the named pipes of Windows:
// npipe:name is \\.\pipe\name. On other systems every endpoint is [errors.ErrUnsupported].
//
// The scheme is not built in. A program that wants it says so:
//
//	var d tincan.Dialer
//	npipe.AddTo(&d.Config)
//	c, err := d.Dial(ctx, "npipe:my-service")
//
// A listener lets in processes of the same user on the same machine and no
// others, as a Unix socket of mode 0600 does, unless its [Transport] says otherwise. A
// name that is taken can't be listened on.
//
// Half-close works: the pipe is in message mode, in which a message without
// bytes ends the stream (this is how go-winio, Docker and others do it) and messages
// are otherwise read as a stream. With a server of another kind, whose pipe is in byte mode,
// [tincan.CloseWrite] is [errors.ErrUnsupported]. There is no abort.
package npipe

import (
	"strings"

	"github.com/tincan-ipc/tincan"
)

// Transport opens npipe. It is a [tincan.Transport]; the zero value works.
type Transport struct {
	// SecurityDescriptor tells who may connect to a listener, in SDDL. Empty
	// allows the user that the process runs as, and nobody else.
	SecurityDescriptor string
}

var _ tincan.Transport = Transport{}

// AddTo makes c open npipe, adding a [Transport] to its Transports.
func AddTo(c *tincan.Config) {
	if c.Transports == nil {
		c.Transports = map[string]tincan.Transport{}
	}
	c.Transports["npipe"] = Transport{}
}

const prefix = `\\.\pipe\`

// pipePath gives the system's name of e's pipe, which is at most 256
// characters long and has no backslash but those of the prefix (CreateNamedPipeW).
func pipePath(e *tincan.Endpoint) (string, error) {
	name := strings.TrimPrefix(e.Path, prefix)
	var problem string
	switch {
	case name == "":
		problem = "has no name"
	case strings.ContainsAny(name, "\\\x00"):
		problem = "the name of a pipe has no backslash and no NUL in it"
	case len(prefix)+len(name) > 256:
		problem = "the name of a pipe is at most 247 characters long"
	default:
		return prefix + name, nil
	}
	return "", &tincan.EndpointError{Input: e.String(), Problem: problem, Remedy: "it looks like npipe:name"}
}
