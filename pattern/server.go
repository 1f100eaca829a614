package pattern

import "github.com/tincan-ipc/tincan/zmtp"

// A Server answers requests, of which each peer may have many under way. It is a ROUTER on the wire, and answers
// [Client], [Req] and [Dealer] sockets: what comes before the empty delimiter goes back with the reply.
type Server struct {
	socket
	replier
}

// NewServer makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewServer(o *Options) *Server {
	s := &Server{}
	s.s = &s.socket
	s.init(zmtp.Router, o, collector{&s.socket})
	return s
}
