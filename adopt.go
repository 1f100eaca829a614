package tincan

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Adopt accepts from a listener that something else has bound, such as a
// socket that was inherited, under the rules of lc's options. The Listener owns
// ln. Its Addr is an endpoint where ln is of TCP or Unix sockets, else ln's own address.
func (lc *ListenConfig) Adopt(ln net.Listener) *Listener {
	e := adoptedEndpoint(ln.Addr())
	if e.Scheme != "" {
		ln = &boundListener{drainable(ln), e}
	}
	lc, e = lc.prepare(e)
	return newListener(lc, e, ln)
}

// AdoptMessage is Adopt for messages. s is a bound [*net.UDPConn] or, of type unixgram, [*net.UnixConn], each of
// whose peers gets a flow, or a [*net.UnixListener] of type unixpacket. The MessageListener owns s, and
// leaves its Unix path where it is. Buffers stay as large as they are.
//
// The error is a [*net.OpError] with Op "listen", and s still the caller's. It is [errors.ErrUnsupported] for any
// other socket, and for one whose datagrams Linux was told to join (udp(7), UDP_GRO).
func (lc *ListenConfig) AdoptMessage(s syscall.Conn) (MessageListener, error) {
	var l MessageListener
	e, err := &Endpoint{}, errors.ErrUnsupported
	switch s := s.(type) {
	case socket:
		lc, e = lc.prepare(adoptedEndpoint(s.LocalAddr()))
		l, err = lc.adoptDatagrams(e, s)
	case *net.UnixListener:
		lc, e = lc.prepare(adoptedEndpoint(s.Addr()))
		if e.Scheme == "unixpacket" {
			l, err = newPacketListener(lc, e, &unixListener{s, unixPath{}, e.boundAddr()}), nil
		}
	}
	if err != nil {
		return nil, endpointError("listen", e, err)
	}
	return l, nil
}

var errUnbound = errors.New("the socket is not bound, so nobody can send to it")

func (lc *ListenConfig) adoptDatagrams(e *Endpoint, s socket) (MessageListener, error) {
	var (
		p     packetSocket
		limit int
		err   error
	)
	switch c := s.(type) {
	case *net.UDPConn:
		limit = maxDatagram
		if err = checkUnjoined(c); err == nil {
			p, err = newUDPSocket(c, true)
		}
	case *net.UnixConn:
		if err = errors.ErrUnsupported; e.Scheme == "unixgram" {
			p, err = newUnixgramSocket(c)
		}
	default:
		err = errors.ErrUnsupported
	}
	switch {
	case err != nil:
		return nil, err
	case s.RemoteAddr() != nil:
		return nil, syscall.EISCONN
	case e.Path == "" && (e.Port == "" || e.Port == "0"):
		return nil, errUnbound
	}
	return newFlowListener(lc, e, e.boundAddr(), unixPath{}, limit, []packetSocket{p}), nil
}

// AdoptMessageConn gives a message connection over a socket that something else has connected: a
// [*net.UDPConn], or a [*net.UnixConn] of type unixgram or unixpacket. The MessageConn owns s.
//
// The error is a [*net.OpError] with Op "dial", and s still the caller's. It is [errors.ErrUnsupported] for any other
// socket, and for one whose datagrams Linux was told to join (udp(7), UDP_GRO).
func AdoptMessageConn(s net.Conn) (MessageConn, error) {
	network := s.LocalAddr().Network()
	c, err := adoptMessageConn(s, network)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
	}
	return c, nil
}

func adoptMessageConn(s net.Conn, network string) (MessageConn, error) {
	kind, limit := datagrams, 0
	switch network {
	case "udp":
		limit = maxDatagram
	case "unixpacket":
		kind = packets
	case "unixgram":
	default:
		return nil, errors.ErrUnsupported
	}
	own, ok := s.(socket)
	switch {
	case !ok:
		return nil, errors.ErrUnsupported
	case s.RemoteAddr() == nil:
		return nil, syscall.ENOTCONN
	}
	if err := checkUnjoined(own); err != nil {
		return nil, err
	}
	c, err := newMessageConn(own, network, kind, limit, own.Close)
	if err != nil {
		return nil, err
	}
	c.foreign = true
	return c, nil
}

// checkUnjoined refuses a socket that may hold joined datagrams, whose lengths could be lost, see foreignSpace.
func checkUnjoined(s socket) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	if joinsDatagrams(raw) {
		return fmt.Errorf("%w: a socket whose datagrams the system joins (UDP_GRO)", errors.ErrUnsupported)
	}
	return nil
}

// adoptedEndpoint gives the endpoint of a socket that is bound to a, without a scheme where there is none.
func adoptedEndpoint(a net.Addr) *Endpoint {
	switch a := a.(type) {
	case *net.TCPAddr:
		return ipEndpoint("tcp", a.IP, a.Zone, a.Port)
	case *net.UDPAddr:
		return ipEndpoint("udp", a.IP, a.Zone, a.Port)
	case *net.UnixAddr:
		return &Endpoint{Scheme: a.Net, Path: a.Name}
	}
	return &Endpoint{}
}

func ipEndpoint(scheme string, ip net.IP, zone string, port int) *Endpoint {
	e := &Endpoint{Scheme: scheme, Host: ip.String(), Port: strconv.Itoa(port)}
	if ip.IsUnspecified() {
		e.Host = "*"
	} else if zone != "" {
		e.Host += "%" + zone
	}
	return e
}
