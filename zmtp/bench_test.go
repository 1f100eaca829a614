package zmtp

import (
	"fmt"
	"testing"
)

func BenchmarkParseHeader(b *testing.B) {
	for _, size := range []int{64, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			frame := AppendFrame(nil, FlagMore, make([]byte, size))
			b.ReportAllocs()
			for b.Loop() {
				if _, n, err := ParseHeader(frame); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, size := range []int{64, 1024, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			body, dst := make([]byte, size), make([]byte, 0, size+MaxHeader)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				dst = AppendFrame(dst[:0], 0, body)
			}
		})
	}
}

func BenchmarkParseCommand(b *testing.B) {
	body := AppendPing(nil, 0, []byte("context"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCommand(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSession seals a frame, parses its header and opens it, as the two ends of a connection do.
func BenchmarkSession(b *testing.B) {
	client, server := curvePair(b)
	for _, s := range []struct {
		name           string
		client, server *Session
	}{{"NULL", &Session{peer: Peer{Major: 3}}, &Session{peer: Peer{Major: 3}}}, {"CURVE", client, server}} {
		for _, size := range []int{64, 1024, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%d", s.name, size), func(b *testing.B) {
				body, frame := make([]byte, size), make([]byte, 0, size+MaxHeader+curveOverhead)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					frame = s.client.Seal(frame[:0], 0, body)
					h, n, err := ParseHeader(frame)
					if err != nil {
						b.Fatal(err)
					}
					if _, _, err := s.server.Open(h.Flags, frame[n:]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	for _, m := range mechanisms(b) {
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, errA, errB := shake(b, &Config{Mechanism: m.client}, &Config{Mechanism: m.server}, false); errA != nil || errB != nil {
					b.Fatal(errA, errB)
				}
			}
		})
	}
}
