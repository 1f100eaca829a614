package ws_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/tincantest"
)

// faulty gives a dialer and a listener's configuration whose tcp has faults.
func faulty(dialled, accepted tincantest.Faults) (*tincan.Dialer, *tincan.ListenConfig) {
	transport := &tincantest.FaultyTransport{Dialled: tincantest.Always(dialled), Accepted: tincantest.Always(accepted)}
	d, lc := dialer(), listenConfig()
	d.Transports["tcp"], lc.Transports["tcp"] = transport, transport
	return d, lc
}

// faultMessages have lengths around each form of the length in a frame's header.
func faultMessages() (msgs []string) {
	for i, n := range []int{3, 0, 125, 126, 127, 0, 300} {
		msgs = append(msgs, strings.Repeat(string(rune('a'+i)), n))
	}
	return append(msgs, strings.Repeat("z", 65536), "end")
}

// readMessages reads until an error.
func readMessages(ctx context.Context, c tincan.MessageConn) (msgs []string, err error) {
	for buf := make([]byte, 100_000); ; {
		n, err := c.ReadMessage(ctx, buf)
		if err != nil {
			return msgs, err
		}
		msgs = append(msgs, string(buf[:n]))
	}
}

// However small the pieces and late, upgrade and messages get through, both ways.
func TestMessagesOverSlowPieces(t *testing.T) {
	for name, flow := range map[string]tincantest.Flow{
		"a byte at a time": {Piece: 1},
		"ragged and late":  {Piece: 3000, Ragged: true, Jitter: 200 * time.Microsecond},
	} {
		for _, sender := range []string{"client", "server"} {
			t.Run(name+" from the "+sender, func(t *testing.T) {
				faults := tincantest.Faults{Seed: 7, Read: flow, Write: flow}
				d, lc := faulty(faults, faults)
				got, err := exchangeMessages(t, d, lc, sender == "client", faultMessages())
				if err != io.EOF || cmp.Diff(faultMessages(), got) != "" {
					t.Errorf("%d messages and %v, want %d and io.EOF", len(got), err, len(faultMessages()))
				}
			})
		}
	}
}

// A connection that is cut or reset at any byte of a whole exchange gives the
// receiver whole messages, then an error; never a part of one, and never an orderly end.
func TestBrokenAtEveryByte(t *testing.T) {
	want := []string{"first", "", strings.Repeat("m", 130)}
	for _, end := range []tincantest.End{tincantest.Cut, tincantest.Reset} {
		for _, side := range []string{"client", "server"} {
			t.Run(fmt.Sprintf("end %d of the %s", end, side), func(t *testing.T) {
				for at := int64(0); ; at++ {
					faults := tincantest.Faults{Write: tincantest.Flow{End: end, At: at}}
					dialled, accepted := faults, tincantest.Faults{}
					if side == "server" {
						dialled, accepted = accepted, faults
					}
					d, lc := faulty(dialled, accepted)
					got, err := exchangeMessages(t, d, lc, side == "client", want)
					if len(got) > len(want) || len(got) > 0 && cmp.Diff(want[:len(got)], got) != "" {
						t.Fatalf("broken at byte %d: got %q", at, got)
					}
					switch {
					case err == io.EOF && len(got) == len(want) && at > 200:
						return // the close frame came through: all there is was sent
					case tincan.KindOf(err) != tincan.KindReset && !isHandshake(err):
						t.Fatalf("broken at byte %d: %d messages and %v (kind %v), want a reset", at, len(got), err, tincan.KindOf(err))
					case at > 2000:
						t.Fatal("the exchange has no end")
					}
				}
			})
		}
	}
}

func isHandshake(err error) bool {
	var h *tincan.HandshakeError
	return errors.As(err, &h)
}

// exchangeMessages connects, has one side send msgs and close, and gives what the other received.
func exchangeMessages(t *testing.T, d *tincan.Dialer, lc *tincan.ListenConfig, clientSends bool, msgs []string) (got []string, err error) {
	t.Helper()
	ctx := ctx(t)
	l, err := lc.ListenMessage(ctx, "ws://127.0.0.1:0/x")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	type result struct {
		msgs []string
		err  error
	}
	sendAll := func(c tincan.MessageConn) result {
		for _, m := range msgs {
			if err := c.WriteMessage(ctx, []byte(m)); err != nil {
				return result{err: err}
			}
		}
		return result{}
	}
	receive := func(c tincan.MessageConn) result {
		m, err := readMessages(ctx, c)
		return result{m, err}
	}
	client, server := receive, sendAll
	if clientSends {
		client, server = sendAll, receive
	}
	served := make(chan result, 1)
	go func() {
		c, err := l.Accept(ctx)
		if err != nil {
			served <- result{nil, err}
			return
		}
		r := server(c)
		_ = c.Close()
		served <- r
	}()
	var r result
	c, err := d.DialMessage(ctx, l.Addr().String())
	if err != nil {
		r.err = err
	} else {
		r = client(c)
		_ = c.Close()
	}
	fromServer := <-served
	if clientSends {
		r = fromServer
	}
	return r.msgs, r.err
}

// A reset in the middle of a message while the receiver reads, over and over.
func TestResetInAMessage(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	l := listenMessage(t, "ws://127.0.0.1:0/x")
	for i := range rounds {
		raw := dialRaw(t, l.Addr())
		raw.send(request("/x", nil))
		c, err := l.Accept(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := tincan.Handshake(ctx(t), c); err != nil {
			t.Fatal(err)
		}
		framed := raw.mask(0x82, make([]byte, 300))
		broken := tincantest.WrapFaulty(raw.Conn, tincantest.Faults{
			Seed: uint64(i), Write: tincantest.Flow{Ragged: true, End: tincantest.Reset, At: 1 + int64(i%(len(framed)-1))},
		})
		go func() { _, _ = broken.Write(framed) }()
		if msgs, err := readMessages(ctx(t), c); len(msgs) != 0 || tincan.KindOf(err) != tincan.KindReset {
			t.Fatalf("round %d: %d messages, %v", i, len(msgs), err)
		}
		_ = c.Close()
	}
}

// A length of 2^63-1, and every other over the limit, ends a message connection
// before a byte of it came, costs no memory and is told to the peer by status 1009. What came before is delivered.
func TestAnnouncedLength(t *testing.T) {
	for name, header := range map[string][]byte{
		"2^63-1":         binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<63-1),
		"2^64-1":         binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<64-1),
		"a continuation": append([]byte{0x02, 0x81, 0, 0, 0, 0, 'x'}, binary.BigEndian.AppendUint64([]byte{0x80, 0xff}, 1<<62)...),
		"one too many":   {0x82, 0xfe, 0x01, 0x01},
	} {
		for _, before := range []bool{false, true} {
			for _, piece := range []int{0, 1} {
				t.Run(fmt.Sprint(name, " behind a message: ", before, ", pieces of ", piece), func(t *testing.T) {
					l := listenMessage(t, "ws://127.0.0.1:0/x?max-message=256")
					raw := dialRaw(t, l.Addr())
					sent := []byte(request("/x", nil)) // all at once: frames may come with the upgrade
					if before {
						sent = append(sent, raw.mask(0x82, make([]byte, 256))...)
					}
					slow := tincantest.WrapFaulty(raw.Conn, tincantest.Faults{Write: tincantest.Flow{Piece: piece}})
					if _, err := slow.Write(append(sent, header...)); err != nil {
						t.Fatal(err)
					}
					c, err := l.Accept(ctx(t))
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					if err := tincan.Handshake(ctx(t), c); err != nil {
						t.Fatal(err)
					}
					ctx, buf := ctx(t), make([]byte, 300)
					if before {
						if n, err := c.ReadMessage(ctx, buf); n != 256 || err != nil {
							t.Fatalf("the message before: %d bytes, %v", n, err)
						}
					}
					var start, stop runtime.MemStats
					runtime.ReadMemStats(&start)
					_, err = c.ReadMessage(ctx, buf)
					runtime.ReadMemStats(&stop)
					if !errors.Is(err, tincan.ErrMessageTooLong) {
						t.Errorf("ReadMessage: %v, want ErrMessageTooLong", err)
					}
					if n := stop.TotalAlloc - start.TotalAlloc; n >= 64<<10 {
						t.Errorf("%d bytes allocated", n)
					}
					if first, body := raw.readFrame(); first != 0x88 || len(body) < 2 || binary.BigEndian.Uint16(body) != 1009 {
						t.Errorf("the peer got frame %#x %q, want a close frame of status 1009", first, body)
					}
				})
			}
		}
	}
}

// To a stream a frame of any length is bytes as any others, of which it holds few.
func TestAnnouncedLengthOfAStream(t *testing.T) {
	l := listen(t, "ws://127.0.0.1:0/x")
	raw := dialRaw(t, l.Addr())
	frame := append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<63-1), 0, 0, 0, 0)
	raw.send(request("/x", nil) + string(frame))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := tincan.Handshake(ctx(t), c); err != nil {
		t.Fatal(err)
	}
	var start, stop runtime.MemStats
	runtime.ReadMemStats(&start)
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, err = c.Read(make([]byte, 100))
	runtime.ReadMemStats(&stop)
	if tincan.KindOf(err) != tincan.KindTimeout {
		t.Errorf("Read: %v", err)
	}
	if n := stop.TotalAlloc - start.TotalAlloc; n >= 64<<10 {
		t.Errorf("%d bytes allocated", n)
	}
	_ = raw.Close()
	_ = c.SetReadDeadline(time.Now().Add(timeout))
	if _, err := c.Read(make([]byte, 100)); tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("Read when the peer closed within the frame: %v", err)
	}
}
