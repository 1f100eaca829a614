package relay_test

import (
	"context"
	"log/slog"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/service"
)

// A relay behind a load balancer, which tells who the client is, that passes
// this on to a server behind a SOCKS5 proxy.
func ExampleAcceptHeader() {
	var lc tincan.ListenConfig
	relay.AcceptHeader{}.AddTo(&lc.Config)
	l, err := lc.Listen(context.Background(), "tcp://*:8080?allow=10.0.0.2/32")
	if err != nil {
		slog.Error(err.Error())
		return
	}
	target, err := tincan.ParseEndpoint("tls://app.internal:8443")
	if err != nil {
		slog.Error(err.Error())
		return
	}
	proxy, err := relay.ParseProxy("socks5://10.0.0.3:1080")
	if err != nil {
		slog.Error(err.Error())
		return
	}
	f := &relay.Forwarder{Targets: []*tincan.Endpoint{target}, Dialer: &tincan.Dialer{}}
	proxy.AddTo(&f.Dialer.Config)
	relay.SendHeader{Version: 2}.AddTo(&f.Dialer.Config) // through the proxy, so it comes last
	if err := (&service.Server{}).Serve(context.Background(), l, f.Stream); err != nil {
		slog.Error(err.Error())
	}
}
