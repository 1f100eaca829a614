package main

import (
	"context"
	"encoding/binary"
	"net"
	"net/rpc"
	"sync"
)

// netMessenger is what a program would write on bare net: messages with their length before them, gathered in
// a buffer under a mutex while the one before is written, and cut from what one read brings.
var netMessenger = messenger{push: netPush, pull: netPull}

func netPush(ctx context.Context, at address) (send, error) {
	l, err := listenStream(ctx, "net", at.String())
	if err != nil {
		return nil, err
	}
	b := &sendBuffer{}
	b.moved.L = &b.mu
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.writeTo(c)
		}
	}()
	return b.send, nil
}

// A sendBuffer gathers messages for one writer.
type sendBuffer struct {
	mu     sync.Mutex // guards queued
	queued []byte
	moved  sync.Cond // queued has grown from nothing, or been taken
}

func (b *sendBuffer) send(message []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queued) >= pieceSize {
		b.moved.Wait()
	}
	if len(b.queued) == 0 {
		b.moved.Signal()
	}
	b.queued = binary.NativeEndian.AppendUint32(b.queued, uint32(len(message)))
	b.queued = append(b.queued, message...)
	return nil
}

// writeTo writes until the peer has gone. It begins when the peer has sent a byte: one that only knocks gets nothing.
func (b *sendBuffer) writeTo(c net.Conn) {
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return
	}
	var piece []byte
	for {
		b.mu.Lock()
		for len(b.queued) == 0 {
			b.moved.Wait()
		}
		piece, b.queued = b.queued, piece[:0]
		b.mu.Unlock()
		b.moved.Signal()
		if _, err := c.Write(piece); err != nil {
			return
		}
	}
}

func netPull(ctx context.Context, at address) (receive, error) {
	c, err := dialStream(ctx, "net", at.String())
	if err != nil {
		return nil, err
	}
	if _, err := c.Write([]byte{0}); err != nil {
		return nil, err
	}
	const lengthSize = 4
	buf := make([]byte, lengthSize+pieceSize)
	from, to := 0, 0
	return func() ([]byte, error) {
		for {
			if held := buf[from:to]; len(held) >= lengthSize {
				if end := lengthSize + int(binary.NativeEndian.Uint32(held)); len(held) >= end {
					from += end
					return held[lengthSize:end], nil
				}
			}
			from, to = 0, copy(buf, buf[from:to])
			n, err := c.Read(buf[to:])
			if to += n; err != nil {
				return nil, err
			}
		}
	}, nil
}

// netRPCMessenger is net/rpc with its own encoding, and a byte slice each way.
var netRPCMessenger = messenger{
	answer: rpcServe, request: rpcDial,
	serve: rpcServe, call: shared(rpcDial),
}

// RPCEcho is what net/rpc serves.
type RPCEcho struct{}

// Echo replies with the request.
func (RPCEcho) Echo(request []byte, reply *[]byte) error {
	*reply = request
	return nil
}

func rpcServe(ctx context.Context, at address) error {
	s := rpc.NewServer()
	if err := s.RegisterName("Echo", RPCEcho{}); err != nil {
		return err
	}
	return serveStreams(ctx, "net", at.String(), func(c net.Conn) { s.ServeConn(c) })
}

func rpcDial(ctx context.Context, at address) (trip, error) {
	c, err := dialStream(ctx, "net", at.String())
	if err != nil {
		return nil, err
	}
	client := rpc.NewClient(c)
	return func(request []byte) (reply []byte, err error) {
		err = client.Call("Echo.Echo", request, &reply)
		return reply, err
	}, nil
}
