package pattern_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

func BenchmarkRoundTrip(b *testing.B) {
	for _, scheme := range []string{"unix", "tcp"} {
		for _, how := range []string{"dealer", "req"} {
			b.Run(scheme+"/"+how, func(b *testing.B) {
				rep := pattern.NewRep(&pattern.Options{Handlers: 1})
				serve(b, rep, echo)
				body := make([]byte, 64)
				ctx := context.Background()
				b.ReportAllocs()
				if how == "req" {
					req := pattern.NewReq(nil)
					join(b, scheme, rep, req)
					for b.Loop() {
						if _, err := req.Request(ctx, body); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				dealer := pattern.NewDealer(nil)
				join(b, scheme, rep, dealer)
				for b.Loop() {
					if err := dealer.Send(ctx, nil, body); err != nil {
						b.Fatal(err)
					}
					m, err := dealer.Borrow(ctx)
					if err != nil {
						b.Fatal(err)
					}
					m.Release()
				}
			})
		}
	}
}

func BenchmarkOneWay(b *testing.B) {
	for _, scheme := range []string{"unix", "tcp"} {
		for _, size := range []int{64, 1 << 10, 64 << 10} {
			for _, how := range []string{"recv", "borrow"} {
				b.Run(fmt.Sprintf("%s/%d/%s", scheme, size, how), func(b *testing.B) {
					push, pull := pattern.NewPush(nil), pattern.NewPull(nil)
					join(b, scheme, pull, push)
					ctx := context.Background()
					body := make([]byte, size)
					b.SetBytes(int64(size))
					b.ReportAllocs()
					b.ResetTimer()
					go func() {
						for range b.N {
							_ = push.Send(ctx, body)
						}
					}()
					for range b.N {
						if how == "recv" {
							_, _ = pull.Recv(ctx)
							continue
						}
						m, _ := pull.Borrow(ctx)
						m.Release()
					}
				})
			}
		}
	}
}

func BenchmarkCallers(b *testing.B) {
	for _, handlers := range []int{0, 1} {
		b.Run(fmt.Sprint("handlers-", handlers), func(b *testing.B) {
			server, client := pattern.NewServer(&pattern.Options{Handlers: handlers}), pattern.NewClient(nil)
			serve(b, server, echo)
			join(b, "unix", server, client)
			ctx := context.Background()
			body := make([]byte, 64)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					for range (b.N + i) / 64 {
						if _, err := client.Request(ctx, body); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkRawRoundTrip is what two goroutines need with nothing but package net.
func BenchmarkRawRoundTrip(b *testing.B) {
	for _, scheme := range []string{"unix", "tcp"} {
		b.Run(scheme, func(b *testing.B) {
			l, err := tincan.Listen(b.Context(), endpoint(b, scheme))
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err == nil {
					_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
					_ = c.Close()
				}
			}()
			c, err := tincan.Dial(b.Context(), l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			body := make([]byte, 64)
			for b.Loop() {
				if _, err := c.Write(body); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
