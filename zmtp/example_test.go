package zmtp_test

import (
	"fmt"
	"io"
	"net"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A PUSH that sends one message of two parts to a PULL, with CURVE, by hand: package
// pattern has sockets that do this, with queues, limits and heartbeats.
func Example() {
	serverKey, serverSecret, err := zmtp.GenerateKeys()
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	sent := make(chan error, 1)
	go func() { sent <- push(l.Addr().String(), serverKey) }()

	c, err := l.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	s, err := zmtp.Handshake(c, &zmtp.Config{Type: zmtp.Pull, Mechanism: zmtp.CurveServer{SecretKey: serverSecret}})
	if err != nil {
		fmt.Println(err)
		return
	}
	peer := s.Peer()
	fmt.Printf("a %v that speaks %d.%d\n", peer.Type, peer.Major, peer.Minor)
	for more := true; more; {
		// A short frame has a header of 2 bytes. See ParseHeader for how to cut frames from a buffer.
		header := make([]byte, 2)
		if _, err := io.ReadFull(c, header); err != nil {
			fmt.Println(err)
			return
		}
		h, _, err := zmtp.ParseHeader(header)
		if err != nil {
			fmt.Println(err)
			return
		}
		body := make([]byte, h.Length) // at most 255
		if _, err := io.ReadFull(c, body); err != nil {
			fmt.Println(err)
			return
		}
		flags, part, err := s.Open(h.Flags, body)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", part)
		more = flags&zmtp.FlagMore != 0
	}
	if err := <-sent; err != nil {
		fmt.Println(err)
	}
	// Output:
	// a PUSH that speaks 3.1
	// hello
	// world
}

func push(addr string, serverKey [32]byte) error {
	public, secret, err := zmtp.GenerateKeys()
	if err != nil {
		return err
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := zmtp.Handshake(c, &zmtp.Config{
		Type:      zmtp.Push,
		Mechanism: zmtp.CurveClient{ServerKey: serverKey, PublicKey: public, SecretKey: secret},
	})
	if err != nil {
		return err
	}
	message := s.Seal(nil, zmtp.FlagMore, []byte("hello"))
	_, err = c.Write(s.Seal(message, 0, []byte("world")))
	return err
}
