package tincan

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseEndpoint(t *testing.T) {
	tests := []struct {
		url  string
		want Endpoint
		// canonical is what String gives, where it isn't url.
		canonical string
	}{
		{url: "tcp://127.0.0.1:80", want: Endpoint{Scheme: "tcp", Host: "127.0.0.1", Port: "80"}},
		{url: "TCP://example.org:http", want: Endpoint{Scheme: "tcp", Host: "example.org", Port: "http"}, canonical: "tcp://example.org:http"},
		{url: "tcp://:0", want: Endpoint{Scheme: "tcp", Port: "0"}},
		{url: "tcp://*:27015", want: Endpoint{Scheme: "tcp", Host: "*", Port: "27015"}},
		{url: "tcp://127.0.0.1:80/", want: Endpoint{Scheme: "tcp", Host: "127.0.0.1", Port: "80"}, canonical: "tcp://127.0.0.1:80"},
		{url: "tcp6://[::1]:80", want: Endpoint{Scheme: "tcp6", Host: "::1", Port: "80"}},
		{url: "tcp://[fe80::1%eth0]:80", want: Endpoint{Scheme: "tcp", Host: "fe80::1%eth0", Port: "80"}},
		{url: "tcp://[fe80::1%25eth0]:80", want: Endpoint{Scheme: "tcp", Host: "fe80::1%eth0", Port: "80"}, canonical: "tcp://[fe80::1%eth0]:80"},
		{url: "tcp://[fe80::1%2525]:80", want: Endpoint{Scheme: "tcp", Host: "fe80::1%25", Port: "80"}},
		{url: "udp4://10.0.0.1:53", want: Endpoint{Scheme: "udp4", Host: "10.0.0.1", Port: "53"}},
		{url: "unix:///run/x.sock", want: Endpoint{Scheme: "unix", Path: "/run/x.sock"}},
		{url: "unix:/run/x.sock", want: Endpoint{Scheme: "unix", Path: "/run/x.sock"}, canonical: "unix:///run/x.sock"},
		{url: "unix:server_socket", want: Endpoint{Scheme: "unix", Path: "server_socket"}},
		{url: "unix:a%20b%3Fc%25", want: Endpoint{Scheme: "unix", Path: "a b?c%"}},
		{url: "unix:@name", want: Endpoint{Scheme: "unix", Path: "@name"}},
		{url: "ipc:///tmp/feed", want: Endpoint{Scheme: "unix", Path: "/tmp/feed"}, canonical: "unix:///tmp/feed"},
		{url: "ipc://@feed", want: Endpoint{Scheme: "unix", Path: "@feed"}, canonical: "unix:@feed"},
		{url: "unixgram:x", want: Endpoint{Scheme: "unixgram", Path: "x"}},
		{url: "unixpacket:///x", want: Endpoint{Scheme: "unixpacket", Path: "/x"}},
		{url: "tls://h:443?ca=/etc/ca.pem", want: Endpoint{Scheme: "tls+tcp", Host: "h", Port: "443", Options: Options{CA: "/etc/ca.pem"}}, canonical: "tls+tcp://h:443?ca=/etc/ca.pem"},
		{url: "tls+unix:///x?server-name=h", want: Endpoint{Scheme: "tls+unix", Path: "/x", Options: Options{ServerName: "h"}}},
		{url: "ws://h:8080/chat", want: Endpoint{Scheme: "ws", Host: "h", Port: "8080", Resource: "/chat"}},
		{url: "ws://h", want: Endpoint{Scheme: "ws", Host: "h", Port: "80", Resource: "/"}, canonical: "ws://h:80"},
		{url: "wss://h/", want: Endpoint{Scheme: "wss", Host: "h", Port: "443", Resource: "/"}, canonical: "wss://h:443"},
		{url: "ws+unix:///run/x:/chat?text", want: Endpoint{Scheme: "ws+unix", Path: "/run/x", Resource: "/chat", Options: Options{Text: true}}},
		{url: "vsock://2:1234", want: Endpoint{Scheme: "vsock", Host: "2", Port: "1234"}},
		{url: "vsock://host:4294967295", want: Endpoint{Scheme: "vsock", Host: "host", Port: "4294967295"}},
		{url: "npipe:name", want: Endpoint{Scheme: "npipe", Path: "name"}},
		{url: "mem:name", want: Endpoint{Scheme: "mem", Path: "name"}},
		{
			url: "tcp://h:1?keep-alive=30s&no-delay=false&recv-buffer=1MiB&reuse-port&allow=10.1.2.3/8,::1",
			want: Endpoint{Scheme: "tcp", Host: "h", Port: "1", Options: Options{
				KeepAlive: 30 * time.Second, NoDelay: Off, RecvBuffer: 1 << 20, ReusePort: true,
				Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			}},
			canonical: "tcp://h:1?keep-alive=30s&no-delay=false&recv-buffer=1MiB&reuse-port&allow=10.0.0.0/8,::1/128",
		},
		{
			url:  "unix:x?mode=0660&allow-uid=0,1000&allow-gid=5&max-conns=10&max-conns-per-source=2",
			want: Endpoint{Scheme: "unix", Path: "x", Options: Options{Mode: 0o660, AllowUID: []uint32{0, 1000}, AllowGID: []uint32{5}, MaxConns: 10, MaxConnsPerSource: 2}},
		},
		{url: "tcp://h:1?keep-alive=off", want: Endpoint{Scheme: "tcp", Host: "h", Port: "1", Options: Options{KeepAlive: -1}}},
		{url: "tcp://h:1?keep-alive=0", want: Endpoint{Scheme: "tcp", Host: "h", Port: "1", Options: Options{KeepAlive: -1}}, canonical: "tcp://h:1?keep-alive=off"},
	}
	for _, tt := range tests {
		e, err := ParseEndpoint(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if diff := cmp.Diff(&tt.want, e, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.url, diff)
		}
		want := tt.canonical
		if want == "" {
			want = tt.url
		}
		if got := e.String(); got != want {
			t.Errorf("%s: String gives %s, want %s", tt.url, got, want)
		}
	}
}

func TestParseEndpointErrors(t *testing.T) {
	tests := []struct{ url, hint string }{
		{"", "tcp://host:port"},
		{"localhost", "tcp://host:port"},
		{"localhost:80", "tcp://localhost:80"},
		{"http://h:80", "schemes are"},
		{"tcp:h:80", "tcp://host:port"},
		{"tcp://h", "tcp://host:port"},
		{"tcp://h:", "tcp://host:port"},
		{"tcp://h:65536", ""},
		{"tcp://h:-1", ""},
		{"tcp://h:80x y", ""},
		{"tcp://h:80/path", "tcp://host:port"},
		{"tcp://me@h:80", "tcp://host:port"},
		{"tcp://::1:80", "[::1]:80"},
		{"tcp://[::1:80", "[::1]"},
		{"tcp://[::1]x:80", "[::1]"},
		{"tcp://[127.0.0.1]:80", ""},
		{"tcp://[fe80::1%]:80", ""},
		{"tcp://a b:80", "tcp://host:port"},
		{"tcp4://[::1]:80", "tcp4://host:port"},
		{"tcp6://127.0.0.1:80", "tcp6://host:port"},
		{"tcp://h:80?kep-alive=1s", "keep-alive"},
		{"tcp://h:80?mode=0660", "keep-alive"},
		{"tcp://h:80?keep-alive", ""},
		{"tcp://h:80?keep-alive=fast", ""},
		{"tcp://h:80?no-delay=perhaps", ""},
		{"tcp://h:80?recv-buffer=1XB", ""},
		{"tcp://h:80?recv-buffer=99999999999999999GiB", ""},
		{"tcp://h:80?backlog=-1", ""},
		{"tcp://h:80?allow=10.0.0.0/33", ""},
		{"tcp://h:80?reuse-port&reuse-port", "commas"},
		{"tcp://h:80?", "keep-alive"},
		{"unix:", "unix:///path"},
		{"unix:@", "unix:///path"},
		{"unix:a%0", ""},
		{"unix:a%zz", ""},
		{"unix:a%00b", ""},
		{"unix:" + strings.Repeat("x", 130), "shorter"},
		{"unix:x?mode=999", ""},
		{"unix:x?mode=1777", ""},
		{"unix:x?allow-uid=root", ""},
		{"tls://h:1?min-version=1.1", ""},
		{"vsock://here:1", ""},
		{"vsock://2:x", ""},
		{"mem:", "mem:name"},
	}
	for _, tt := range tests {
		_, err := ParseEndpoint(tt.url)
		var endpointErr *EndpointError
		if !errors.As(err, &endpointErr) {
			t.Errorf("%q: error is %v, want an EndpointError", tt.url, err)
			continue
		}
		if endpointErr.Input != tt.url || endpointErr.Problem == "" || strings.ContainsRune(endpointErr.Error(), '\n') {
			t.Errorf("%q: incomplete error %+v", tt.url, endpointErr)
		}
		if !strings.Contains(endpointErr.Hint(), tt.hint) {
			t.Errorf("%q: hint is %q, want one with %q", tt.url, endpointErr.Hint(), tt.hint)
		}
		if KindOf(err) != KindUsage {
			t.Errorf("%q: kind is %v, want usage", tt.url, KindOf(err))
		}
	}
}

func TestEndpointUnder(t *testing.T) {
	e, err := ParseEndpoint("wss://h:1/chat?text&ca=x&keep-alive=1s")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"tls+tcp://h:1?keep-alive=1s&ca=x", "tcp://h:1?keep-alive=1s"} {
		under, ok := e.Under()
		if !ok || under.String() != want {
			t.Fatalf("under %s is %v, want %s", e, under, want)
		}
		e = under
	}
	if under, ok := e.Under(); ok {
		t.Errorf("under %s is %v, want nothing", e, under)
	}
}

func TestOptionsFill(t *testing.T) {
	base := Options{KeepAlive: time.Second, Mode: 0o640, Cert: "base", ReusePort: true, MaxConns: 3, AllowUID: []uint32{1}, AllowGID: []uint32{2}}
	got := Options{KeepAlive: time.Minute, Cert: "own", AllowUID: []uint32{3}, AllowGID: []uint32{}}
	if n := testing.AllocsPerRun(10, func() { got.fill(&base) }); n > 0 {
		t.Errorf("%v allocations", n) // each dial fills its options
	}
	want := Options{KeepAlive: time.Minute, Mode: 0o640, Cert: "own", ReusePort: true, MaxConns: 3, AllowUID: []uint32{3}, AllowGID: []uint32{2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every field of Options has a key that sets it; one that had none could not be reached from a URL.
func TestOptionKeysComplete(t *testing.T) {
	var o Options
	for _, k := range optionKeys {
		value := "x"
		switch p := k.field(&o).(type) {
		case *bool, *Toggle:
			value = "true"
		case *time.Duration:
			value = "1s"
		case *Size, *int:
			value = "7"
		case *fs.FileMode:
			value = "0640"
		case *[]uint32:
			value = "7"
		case *[]netip.Prefix:
			value = "10.0.0.0/8"
		case *string:
		default:
			t.Fatalf("%s: unknown type %T", k.key, p)
		}
		if err := parseOption(k.field(&o), value, true); err != nil {
			t.Errorf("%s=%s: %v", k.key, value, err)
		}
	}
	v := reflect.ValueOf(o)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("field %s has no key", v.Type().Field(i).Name)
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Size
		out  string
	}{
		{"0", 0, "0"},
		{"512", 512, "512"},
		{"1k", 1024, "1KiB"},
		{"64KiB", 65536, "64KiB"},
		{"1mib", 1 << 20, "1MiB"},
		{"10MB", 10_000_000, "10000000"},
		{"2G", 2 << 30, "2GiB"},
		{"3b", 3, "3"},
	} {
		got, err := ParseSize(tt.in)
		if err != nil || got != tt.want || got.String() != tt.out {
			t.Errorf("%s: got %d (%s), %v; want %d (%s)", tt.in, got, got, err, tt.want, tt.out)
		}
	}
	for _, in := range []string{"", "k", "-1", "1.5MiB", "1Ki", "1 k", "99999999999G"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("%q: got %d, want an error", in, got)
		}
	}
}

// What String prints parses to the same endpoint.
func FuzzParseEndpoint(f *testing.F) {
	seeds, err := os.ReadFile(filepath.Join("testdata", "endpoints.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(seeds)) {
		f.Add(strings.TrimSuffix(line, "\n"))
	}
	f.Fuzz(func(t *testing.T, url string) {
		e, err := ParseEndpoint(url)
		if err != nil {
			var endpointErr *EndpointError
			if !errors.As(err, &endpointErr) {
				t.Fatalf("%q: error is %T", url, err)
			}
			return
		}
		again, err := ParseEndpoint(e.String())
		if err != nil {
			t.Fatalf("%q prints as %q, which is %v", url, e, err)
		}
		if diff := cmp.Diff(e, again, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Fatalf("%q prints as %q (-first +second):\n%s", url, e, diff)
		}
	})
}

func BenchmarkDialerPrepare(b *testing.B) {
	e, err := ParseEndpoint("tcp://127.0.0.1:80?keep-alive=30s&recv-buffer=64KiB")
	if err != nil {
		b.Fatal(err)
	}
	d := &Dialer{Config: Config{Options: Options{NoDelay: Off, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}}
	b.ReportAllocs()
	for b.Loop() {
		d.prepare(e)
	}
}

func BenchmarkParseEndpoint(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		e, err := ParseEndpoint("tcp://127.0.0.1:27015?keep-alive=30s")
		if err != nil {
			b.Fatal(err)
		}
		runtime.KeepAlive(e)
	}
}
