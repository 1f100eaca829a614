package pattern_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/tincan-ipc/tincan/pattern"
)

// echo is a handler that answers with the request.
func echo(_ context.Context, request []byte) ([]byte, error) { return request, nil }

// serve answers by handle until t ends.
func serve(t testing.TB, s interface {
	Serve(context.Context, func(context.Context, []byte) ([]byte, error)) error
	Close() error
}, handle func(context.Context, []byte) ([]byte, error),
) {
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(context.Background(), handle) })
	t.Cleanup(func() {
		_ = s.Close()
		wg.Wait()
	})
}

// requester is a Req or a Client.
type requester interface {
	socket
	Request(ctx context.Context, parts ...[]byte) ([][]byte, error)
}

// replier is a Rep or a Server.
type replier interface {
	socket
	Serve(context.Context, func(context.Context, []byte) ([]byte, error)) error
}

func TestRequest(t *testing.T) {
	for _, scheme := range schemes {
		for _, tt := range []struct {
			name string
			ask  func() requester
			rep  func(*pattern.Options) replier
		}{
			{"req-rep", func() requester { return pattern.NewReq(nil) }, func(o *pattern.Options) replier { return pattern.NewRep(o) }},
			{"req-server", func() requester { return pattern.NewReq(nil) }, func(o *pattern.Options) replier { return pattern.NewServer(o) }},
			{"client-rep", func() requester { return pattern.NewClient(nil) }, func(o *pattern.Options) replier { return pattern.NewRep(o) }},
			{"client-server", func() requester { return pattern.NewClient(nil) }, func(o *pattern.Options) replier { return pattern.NewServer(o) }},
		} {
			for _, handlers := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s/%s/%d", scheme, tt.name, handlers), func(t *testing.T) {
					rep, ask := tt.rep(&pattern.Options{Handlers: handlers}), tt.ask()
					serve(t, rep, echo)
					join(t, scheme, rep, ask)
					ctx := within(t)
					var wg sync.WaitGroup
					for i := range 16 {
						wg.Go(func() {
							for j := range 100 {
								want := fmt.Sprintf("%d %d", i, j)
								parts, err := ask.Request(ctx, []byte(want))
								if err != nil || len(parts) != 1 || string(parts[0]) != want {
									t.Errorf("got %q, %v, want %q", parts, err, want)
									return
								}
							}
						})
					}
					wg.Wait()
				})
			}
		}
	}
}
