package service_test

import (
	"slices"
	"testing"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

func TestServices(t *testing.T) {
	var names []string
	for _, s := range service.Services() {
		names = append(names, s.Name)
		if s.Summary == "" || s.Stream == nil && s.Message == nil || s.Try == nil {
			t.Errorf("%s lacks something", s.Name)
		}
		for _, endpoint := range s.Endpoints {
			e, err := tincan.ParseEndpoint(endpoint)
			if err != nil {
				t.Error(err)
				continue
			}
			if (!e.Streams() || s.Stream == nil) && (!e.Messages() || s.Message == nil) {
				t.Errorf("%s can't be served on %s", s.Name, endpoint)
			}
		}
		if got, ok := service.Lookup(s.Name); !ok || got.Name != s.Name {
			t.Errorf("%s isn't found", s.Name)
		}
	}
	want := []string{"echo", "increment", "hello", "calc", "sum", "discard", "daytime", "time", "chargen"}
	if !slices.Equal(names, want) {
		t.Errorf("services are %v, want %v", names, want)
	}
	if _, ok := service.Lookup("ECHO"); ok {
		t.Error("names have one spelling")
	}
}

func TestTry(t *testing.T) {
	for _, tt := range []struct{ name, endpoint, want string }{
		{"echo", "tcp://127.0.0.1:27015", "echo hello | tincan connect tcp://127.0.0.1:27015"},
		{"echo", "tcp://*:27015?max-conns=3", "echo hello | tincan connect tcp://localhost:27015"},
		{"increment", "unix:server_socket", "printf A | tincan connect unix:server_socket"},
		{"increment", "unix:it's here", `printf A | tincan connect 'unix:it'\''s%20here'`},
		{"hello", "tcp://127.0.0.1:8080", "curl http://127.0.0.1:8080/"},
		{"hello", "tcp://*:8080", "curl http://localhost:8080/"},
		{"hello", "tcp://[::1]:8080", "curl http://[::1]:8080/"},
		{"hello", "unix:/run/hello", "curl --unix-socket /run/hello http://localhost/"},
		{"hello", "unix:@hello", "curl --abstract-unix-socket hello http://localhost/"},
		{"hello", "tls://127.0.0.1:8443?cert=c.pem&key=k.pem", "curl https://127.0.0.1:8443/"},
		{"calc", "udp://[::1]:10000", "tincan calc + 'udp://[::1]:10000' 1 3 5 7 9"},
		{"sum", "udp://[::1]:10001", `printf '\0\0\0\2\0\0\0\3' | tincan connect --hex 'udp://[::1]:10001'`},
		{"sum", "udp://[::1]:10001?format=string", `printf '\0\0\0\2\0\0\0\3' | tincan connect 'udp://[::1]:10001'`},
		{"daytime", "tcp://127.0.0.1:13", "tincan connect tcp://127.0.0.1:13 </dev/null"},
		{"daytime", "udp://127.0.0.1:13", "echo | tincan connect udp://127.0.0.1:13"},
		{"time", "tcp://127.0.0.1:37", "tincan connect --hex tcp://127.0.0.1:37 </dev/null"},
		{"chargen", "tcp://127.0.0.1:19", "tincan connect tcp://127.0.0.1:19 </dev/null | head -n 5"},
		{"chargen", "udp://127.0.0.1:19", "echo | tincan connect udp://127.0.0.1:19"},
		{"discard", "mem:x", "echo hello | tincan connect mem:x"},
	} {
		e, err := tincan.ParseEndpoint(tt.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if got := lookup(t, tt.name).Try(e); got != tt.want {
			t.Errorf("%s on %s: %s\nwant %s", tt.name, tt.endpoint, got, tt.want)
		}
	}
}
