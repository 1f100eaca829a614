package natsbridge_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/natsbridge"
)

func TestParseEndpoint(t *testing.T) {
	for _, c := range []struct {
		text string
		want natsbridge.Endpoint
	}{
		{"nats://127.0.0.1:4222/calc", natsbridge.Endpoint{Servers: []string{"127.0.0.1:4222"}, Subject: "calc"}},
		{"nats:///calc", natsbridge.Endpoint{Servers: []string{"127.0.0.1:4222"}, Subject: "calc"}},
		{"tls+nats://a,b:1,[::1]:2/x.y", natsbridge.Endpoint{TLS: true, Servers: []string{"a:4222", "b:1", "[::1]:2"}, Subject: "x.y"}},
		{"nats://me:p%40%3Ass@h/s", natsbridge.Endpoint{User: "me", Password: "p@:ss", Servers: []string{"h:4222"}, Subject: "s"}},
		{"nats://to%2Fken@h/s", natsbridge.Endpoint{User: "to/ken", Servers: []string{"h:4222"}, Subject: "s"}},
		{
			"nats://h/s?creds=a%26b&queue=q&timeout=3s&replicas=3&max-bytes=1MiB", natsbridge.Endpoint{
				Servers: []string{"h:4222"}, Subject: "s",
				Options: natsbridge.Options{Creds: "a&b", Queue: "q", Timeout: 3 * time.Second, Replicas: 3, MaxBytes: 1 << 20},
			},
		},
	} {
		e, err := natsbridge.ParseEndpoint(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if diff := cmp.Diff(&c.want, e); diff != "" {
			t.Errorf("%s: %s", c.text, diff)
		}
		again, err := natsbridge.ParseEndpoint(e.String())
		if diff := cmp.Diff(e, again); err != nil || diff != "" {
			t.Errorf("%s is written %s: %v %s", c.text, e, err, diff)
		}
		if e.User != "" && strings.Contains(e.Redacted(), e.User) && e.Password == "" || e.Password != "" && strings.Contains(e.Redacted(), "ss@") {
			t.Errorf("%s gives its secrets away", e.Redacted())
		}
	}
}

func TestParseEndpointFaults(t *testing.T) {
	for _, text := range []string{
		"", "tcp://h:1/s", "nats://h", "nats://h/", "nats://h/a..b", "nats://h/a.*", "nats://h/>", "nats://h/a%20b", "nats://h:/s", "nats://h:99999/s",
		"nats://h/s?nonsense=1", "nats://h/s?timeout=x", "nats://h/s?timeout=-1s", "nats://h/s?replicas=0", "nats://h/s?creds", "nats://h/%zz",
		"nats://h/" + strings.Repeat("a", natsbridge.MaxSubject+1),
	} {
		_, err := natsbridge.ParseEndpoint(text)
		if !errors.As(err, new(*tincan.EndpointError)) || tincan.KindOf(err) != tincan.KindUsage {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := natsbridge.ParseEndpoint("nats://me:secret@h/s?x=1"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error gives the password away: %v", err)
	}
}
