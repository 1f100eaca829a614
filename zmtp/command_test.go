package zmtp

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestCommand(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"PING", "\x00\x00", "\x04PING\x00\x00"},
		{"JOIN", "group", "\x04JOINgroup"},
		{strings.Repeat("N", 255), "", "\xff" + strings.Repeat("N", 255)},
	} {
		body := AppendCommand(nil, test.name, []byte(test.data))
		if string(body) != test.want {
			t.Errorf("got %q, want %q", body, test.want)
		}
		c, err := ParseCommand(body)
		if c.Name != test.name || string(c.Data) != test.data || err != nil {
			t.Errorf("%q gives %q, %q, %v", body, c.Name, c.Data, err)
		}
	}
	for _, body := range []string{"", "\x00", "\x00PING", "\x05PING", "\xff", "\x04PI G", "\x04P1NG", "\x03a\xc3\xa4"} {
		_, err := ParseCommand([]byte(body))
		wantFault(t, err, ruleCommand)
	}
}

func TestPing(t *testing.T) {
	for _, test := range []struct {
		ttl, want time.Duration
	}{
		{0, 0},
		{-time.Second, 0},
		{1, 100 * time.Millisecond},
		{100 * time.Millisecond, 100 * time.Millisecond},
		{1250 * time.Millisecond, 1300 * time.Millisecond},
		{65500 * time.Millisecond, 65500 * time.Millisecond},
		{65501 * time.Millisecond, 65500 * time.Millisecond},
		{1<<63 - 1, 65500 * time.Millisecond},
	} {
		c, err := ParseCommand(AppendPing(nil, test.ttl, []byte("context")))
		if c.Name != CommandPing || err != nil {
			t.Fatalf("%v: %+v, %v", test.ttl, c, err)
		}
		ttl, context, err := ParsePing(c.Data)
		if ttl != test.want || string(context) != "context" || err != nil {
			t.Errorf("%v: %v, %q, %v; want %v", test.ttl, ttl, context, err, test.want)
		}
		c, err = ParseCommand(AppendPong(nil, context))
		if c.Name != CommandPong || err != nil {
			t.Fatalf("%+v, %v", c, err)
		}
		if context, err := ParsePong(c.Data); string(context) != "context" || err != nil {
			t.Errorf("PONG echoes %q, %v", context, err)
		}
	}
	long := bytes.Repeat([]byte("c"), 17)
	if got, want := AppendPing(nil, 0, long), "\x04PING\x00\x00"+string(long[:16]); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, data := range [][]byte{nil, {0}, append([]byte{0, 0}, long...)} {
		_, _, err := ParsePing(data)
		wantFault(t, err, ruleHeartbeat)
	}
	_, err := ParsePong(long)
	wantFault(t, err, ruleHeartbeat)
}

func TestSubscription(t *testing.T) {
	for _, test := range []struct {
		f            Flags
		body         string
		topic        string
		cancel, none bool
	}{
		{f: FlagCommand, body: "\x09SUBSCRIBE"},
		{f: FlagCommand, body: "\x09SUBSCRIBEnews", topic: "news"},
		{f: FlagCommand, body: "\x06CANCELnews", topic: "news", cancel: true},
		{f: FlagCommand, body: "\x04PING\x00\x00", none: true},
		{f: FlagCommand, body: "\x01news", none: true},
		{body: "\x01"},
		{body: "\x01news", topic: "news"},
		{body: "\x00news", topic: "news", cancel: true},
		{body: "", none: true},
		{body: "\x02news", none: true},
		{f: FlagMore, body: "\x01news", none: true},
	} {
		s, ok := ParseSubscription(test.f, []byte(test.body))
		if ok == test.none || string(s.Topic) != test.topic || s.Cancel != test.cancel {
			t.Errorf("%v %q: %q, %v, %v", test.f, test.body, s.Topic, s.Cancel, ok)
		}
	}
	for _, version := range []byte{0, 1} {
		for _, topic := range []string{"", "news", strings.Repeat("t", 300)} {
			for _, cancel := range []bool{false, true} {
				session := &Session{peer: Peer{Major: 3, Minor: version}}
				frame := session.SealSubscription(nil, Subscription{Topic: []byte(topic), Cancel: cancel})
				h, n, err := ParseHeader(frame)
				if err != nil || (h.Flags&FlagCommand != 0) != (version == 1) {
					t.Fatalf("3.%d: %+v, %v", version, h, err)
				}
				if s, ok := ParseSubscription(h.Flags, frame[n:]); !ok || string(s.Topic) != topic || s.Cancel != cancel {
					t.Errorf("3.%d: %q, %v, %v; want %q, %v", version, s.Topic, s.Cancel, ok, topic, cancel)
				}
			}
		}
	}
}

func TestError(t *testing.T) {
	for _, reason := range []string{"", "400", strings.Repeat("r", 255), strings.Repeat("r", 300)} {
		c, err := ParseCommand(AppendError(nil, reason))
		if c.Name != CommandError || err != nil {
			t.Fatalf("%+v, %v", c, err)
		}
		if got, err := ParseError(c.Data); got != reason[:min(len(reason), 255)] || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, reason)
		}
	}
	for _, data := range []string{"", "\x01", "\x02a", "\x00a"} {
		_, err := ParseError([]byte(data))
		wantFault(t, err, ruleHandshake)
	}
}

func TestMetadata(t *testing.T) {
	for _, test := range [][]Property{
		nil,
		{{Name: "Socket-Type", Value: []byte("REQ")}},
		{{Name: "a", Value: nil}, {Name: "X-b.c_d+9", Value: bytes.Repeat([]byte{0}, 70000)}},
		{{Name: strings.Repeat("n", 255), Value: []byte{255}}},
	} {
		c, err := ParseCommand(AppendReady(nil, test))
		if c.Name != CommandReady || err != nil {
			t.Fatalf("%+v, %v", c, err)
		}
		got, err := ParseReady(c.Data)
		if err != nil || len(got) != len(test) {
			t.Fatalf("%d properties, %v; want %d", len(got), err, len(test))
		}
		for i := range got {
			if got[i].Name != test[i].Name || !bytes.Equal(got[i].Value, test[i].Value) {
				t.Errorf("got %q, want %q", got[i], test[i])
			}
		}
		for cut := 1; cut < min(len(c.Data), 100); cut++ {
			if got, err := ParseMetadata(c.Data[:cut]); err == nil && len(got) == len(test) {
				t.Errorf("all is there of %d bytes", cut)
			}
		}
	}
	for _, data := range []string{
		"\x00\x00\x00\x00\x00", "\x01", "\x01a", "\x01a\x00\x00\x00", "\x02a\x00\x00\x00\x00",
		"\x01a\x00\x00\x00\x01", "\x01a\x80\x00\x00\x00", "\x01a\xff\xff\xff\xff", "\x01a\x7f\xff\xff\xff", "\x01 \x00\x00\x00\x00",
	} {
		_, err := ParseMetadata([]byte(data))
		wantFault(t, err, ruleMetadata)
	}
	_, err := ParseMetadata([]byte("\x01a\x00\x00\x00\x02vw\x00"))
	if got := wantFault(t, err, ruleMetadata); got != 8 {
		t.Errorf("the fault is at %d, want 8", got)
	}
}
