package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// Numbers of RFC 1928.
const (
	socksVersion     = 5
	socksNoAuth      = 0
	socksPassword    = 2 // RFC 1929
	socksNoneOfThese = 0xff
	socksConnect     = 1
	socksIPv4        = 1
	socksName        = 3
	socksIPv6        = 4
)

// socksReplies are the reply codes of RFC 1928 §6, and what each comes down to.
var socksReplies = map[byte]struct {
	reason string
	err    error
}{
	1: {"it failed", nil},
	2: {"its rules don't allow the connection", refused},
	3: {"the network is unreachable", syscall.ENETUNREACH},
	4: {"the host is unreachable", syscall.EHOSTUNREACH},
	5: {"the connection was refused", syscall.ECONNREFUSED},
	6: {"the connection's time to live has passed", os.ErrDeadlineExceeded},
	7: {"it can't connect", errors.ErrUnsupported},
	8: {"it does not know such addresses", errors.ErrUnsupported},
}

// fitsSocks5 reports whether a user name or password can be sent (RFC 1929 §2).
func fitsSocks5(s string) bool { return 1 <= len(s) && len(s) <= 255 }

// socks5 has the proxy at the other end of c connect to host. It reads its answers and no byte more.
func (p *Proxy) socks5(c net.Conn, host string, port int) error {
	greeting := []byte{socksVersion, 1, socksNoAuth}
	if p.hasUser {
		// Both are offered (§3): a proxy that wants no password need not get it.
		greeting = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	if _, err := c.Write(greeting); err != nil {
		return err
	}
	method, err := readSocksMethod(c)
	switch {
	case err != nil:
		return p.broken(err)
	case method == socksNoAuth:
	case method == socksPassword && p.hasUser:
		if err := p.socksAuthenticate(c); err != nil {
			return err
		}
	case method == socksNoneOfThese && p.hasUser:
		return &ProxyError{Proxy: p.String(), Reason: "it takes no user and password", Err: refused}
	case method == socksNoneOfThese:
		return &ProxyError{Proxy: p.String(), Reason: "it wants a user and password, or something else that is not known here", Err: refused}
	default:
		return p.broken(fmt.Errorf("it chose the authentication %d, which was not offered", method))
	}
	if _, err := c.Write(appendSocksConnect(nil, host, port)); err != nil {
		return err
	}
	code, err := readSocksReply(c)
	if err != nil {
		return p.broken(err)
	}
	if code == 0 {
		return nil
	}
	known, ok := socksReplies[code]
	if !ok {
		known.reason = "it failed in a way of its own"
	}
	return &ProxyError{Proxy: p.String(), Status: int(code), Reason: known.reason, Err: known.err}
}

// socksAuthenticate is RFC 1929.
func (p *Proxy) socksAuthenticate(c net.Conn) error {
	request := append([]byte{1, byte(len(p.user))}, p.user...)
	request = append(append(request, byte(len(p.password))), p.password...)
	if _, err := c.Write(request); err != nil {
		return err
	}
	var answer [2]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return p.broken(cutShort(err))
	}
	if answer[1] != 0 {
		return &ProxyError{Proxy: p.String(), Status: int(answer[1]), Reason: "it refuses this user and password", Err: refused}
	}
	return nil
}

// broken tells of a proxy that doesn't keep to the protocol, or whose connection failed.
func (p *Proxy) broken(err error) error {
	var opErr *net.OpError
	if errors.As(err, &opErr) {
		err = opErr.Err // the rest is told
	}
	return &ProxyError{Proxy: p.String(), Err: err}
}

// cutShort tells an end in the middle of an answer as such.
func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

var errNotSocks = errors.New("it does not speak SOCKS5")

// readSocksMethod reads which authentication the proxy wants (§3).
func readSocksMethod(r io.Reader) (byte, error) {
	var answer [2]byte
	if _, err := io.ReadFull(r, answer[:]); err != nil {
		return 0, cutShort(err)
	}
	if answer[0] != socksVersion {
		return 0, errNotSocks
	}
	return answer[1], nil
}

// appendSocksConnect appends the request (§4). host has at most 255 bytes.
func appendSocksConnect(b []byte, host string, port int) []byte {
	b = append(b, socksVersion, socksConnect, 0)
	switch ip, err := netip.ParseAddr(host); {
	case err != nil:
		b = append(append(b, socksName, byte(len(host))), host...)
	case ip.Is4():
		b = append(append(b, socksIPv4), ip.AsSlice()...)
	default:
		b = append(append(b, socksIPv6), ip.AsSlice()...)
	}
	return binary.BigEndian.AppendUint16(b, uint16(port))
}

// readSocksReply reads the answer to a request (§6) to its last byte, and gives its code. The address in
// it, from where the proxy connected, is of no use.
func readSocksReply(r io.Reader) (code byte, err error) {
	var answer [4 + 1 + 255 + 2]byte
	if _, err := io.ReadFull(r, answer[:5]); err != nil {
		return 0, cutShort(err)
	}
	if answer[0] != socksVersion {
		return 0, errNotSocks
	}
	rest := 2 - 1 // the port, but for the byte of the address that was read
	switch answer[3] {
	case socksIPv4:
		rest += net.IPv4len
	case socksIPv6:
		rest += net.IPv6len
	case socksName:
		rest += 1 + int(answer[4])
	default:
		if answer[1] != 0 {
			return answer[1], nil // it says what matters
		}
		return 0, fmt.Errorf("its answer has an address of an unknown kind, %d", answer[3])
	}
	if _, err := io.ReadFull(r, answer[5:5+rest]); err != nil {
		return 0, cutShort(err)
	}
	return answer[1], nil
}
