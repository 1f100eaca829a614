package pattern

import "github.com/tincan-ipc/tincan/zmtp"

// A Pull receives what its peers, which are [Push] sockets, send: one message from each in turn (30/PIPELINE).
type Pull struct {
	socket
	receiver
}

// NewPull makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewPull(o *Options) *Pull {
	s := &Pull{}
	s.s = &s.socket
	s.init(zmtp.Pull, o, collector{&s.socket})
	return s
}
