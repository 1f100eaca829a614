package pattern

import "github.com/tincan-ipc/tincan/zmtp"

// A Rep answers the requests of its peers, which are [Req], [Client] and [Dealer] sockets (28/REQREP). Requests of different
// peers, and several of one, may be open at the same time: each [Request] knows where its reply goes.
type Rep struct {
	socket
	replier
}

// NewRep makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewRep(o *Options) *Rep {
	s := &Rep{}
	s.s = &s.socket
	s.init(zmtp.Rep, o, collector{&s.socket})
	return s
}
