package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan/frame"
)

// FuzzUpdate reads what a server says. What is a change goes into a table and comes out as it was.
func FuzzUpdate(f *testing.F) {
	for _, line := range []string{
		`{"seq":41,"snapshot":{"door":"open","cpu.load1":0.42}}`,
		`{"seq":42,"time":"2026-01-02T03:04:05.678Z","key":"door","value":"closed"}`,
		`{"seq":44,"time":"2026-01-02T03:04:06.000Z","key":"door","deleted":true,"missed":1}`,
		`{"seq":1,"key":"a","value":null}`, `{"seq":1,"key":"a","value":{"b":[1,"\u2028"]},"deleted":false}`,
		`{"error":"the state is not writable"}`, `{"seq":0,"snapshot":{}}`, `{"seq":-1}`, `{}`, `null`, ``, `{"seq":1,"snapshot":null}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		u, err := parseUpdate(line)
		switch {
		case err != nil:
			if u != (Update{}) {
				t.Errorf("%v with %v", u, err)
			}
			return
		case (u.Snapshot == nil) == (u.Change == nil):
			t.Fatalf("it is read as %+v", u)
		case u.Snapshot != nil:
			var s Snapshot
			s.Apply(u)
			return
		}
		c := u.Change
		var table Table
		if c.Deleted() || table.Set(c.Key, c.Value) != nil {
			return
		}
		w := table.Watch()
		defer w.Close()
		b := &batch{asLine: true}
		if err := w.take(b, 1); err != nil {
			t.Fatal(err)
		}
		s, err := parseUpdate(table.snapshotLine(b))
		if err != nil || len(s.Snapshot.Values) != 1 {
			t.Fatalf("the snapshot is %+v, %v", s.Snapshot, err)
		}
		again, err := parseUpdate(table.entries[c.Key].last.appendTo(nil, c.Missed))
		if err != nil || again.Change.Key != c.Key || again.Change.Missed != c.Missed || !bytes.Equal(again.Change.Value, s.Snapshot.Values[c.Key]) {
			t.Errorf("%+v comes back as %+v, %v", c, again.Change, err)
		}
	})
}

// FuzzRequest has a server do what a client's line asks: an answer is an error or nothing, and the state stays one that can be told.
func FuzzRequest(f *testing.F) {
	for _, line := range []string{
		`{"keys":["cpu."]}`, `{"keys":[]}`, `{"set":{"door":"open"}}`, `{"set":{"a":1,"a":2,"b":{"c":[1, 2]}}}`, `{"set":{}}`, `{"set":{"":1}}`,
		`{"keys":null}`, `{"set":null}`, `{"keys":[1]}`, `{"get":1}`, `[]`, `{`, "{\"set\":{\"a\":\"\xff\"}}", `{"set":{"a\u0000":1}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s := &Server{Table: &Table{}, Writable: true}
		before := s.Table.Seq()
		a, answered := s.request(line)
		switch {
		case a.err != nil && s.Table.Seq() != before:
			t.Error("an error, and the state has changed")
		case a.err != nil:
			if object := errorLine(a.err); !json.Valid(object) || !utf8.Valid(object) || bytes.Contains(object, []byte("\n")) {
				t.Errorf("the answer is %q", object)
			}
			return
		case answered:
			s.Table.Watch(a.narrow...).Close()
			return
		}
		object := appendSnapshot(nil, s.Table.Seq(), s.Table.valuesLocked(nil))
		u, err := parseUpdate(object)
		if err != nil || len(u.Snapshot.Values) != s.Table.Len() || !utf8.Valid(object) || bytes.Contains(object, []byte("\n")) {
			t.Errorf("the state is %q, %v", object, err)
		}
	})
}

// readEvents gives all events of a stream, each with its name, until it ends.
func readEvents(r io.Reader, limit int) (events []string, err error) {
	e := newEventReader(r, limit)
	for {
		name, data, err := e.next()
		if err != nil {
			return events, err
		}
		events = append(events, name+"|"+string(data))
	}
}

func TestEvents(t *testing.T) {
	for stream, want := range map[string][]string{
		"event: change\nid: 7\ndata: {}\n\n":                  {"change|{}"},
		"\xEF\xBB\xBFdata:a\r\ndata: b\r\n\r\n":               {"|a\nb"},
		"data: a\r\rdata:  b\r\r":                             {"|a", "| b"},
		":\n\n: comment\nevent: lost\n\ndata\n\n":             {"|"},
		"retry: 5\nother: x\ndata: a\n\ndata: not ended\n":    {"|a"},
		"event: a\nevent: b\ndata: 1\n\ndata: 2\n\n":          {"b|1", "|2"},
		"data: 123456789012345\ndata: 123456789012345678\n\n": nil,
		"data: 1234567890123456789012345678901234567890\n\n":  nil,
	} {
		events, err := readEvents(strings.NewReader(stream), 32)
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("%q: %s", stream, diff)
		}
		if long := want == nil; errors.Is(err, frame.ErrTooLong) != long || errors.Is(err, io.EOF) == long {
			t.Errorf("%q ends with %v", stream, err)
		}
	}
}

// FuzzEvents reads the same however the stream is cut, and never holds more than the limit.
func FuzzEvents(f *testing.F) {
	for _, stream := range []string{
		"event: snapshot\nid: 1\ndata: {\"seq\":1,\"snapshot\":{}}\n\n", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", ":\n\n", "data\ndata\n\n",
		"\xEF\xBB\xBFdata: a\n\n", "event: a\ndata: 1\n\nevent\n\n", strings.Repeat("data: xxxxxxxxx\n", 10) + "\n",
	} {
		f.Add([]byte(stream))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 64
		whole, err := readEvents(bytes.NewReader(stream), limit)
		pieces, pieceErr := readEvents(iotest.OneByteReader(bytes.NewReader(stream)), limit)
		if diff := cmp.Diff(whole, pieces); diff != "" || errors.Is(err, io.EOF) != errors.Is(pieceErr, io.EOF) {
			t.Errorf("in one piece, and in many: %s; %v, %v", diff, err, pieceErr)
		}
		for _, event := range whole {
			if len(event) > 2*limit {
				t.Errorf("an event of %d bytes", len(event))
			}
		}
	})
}

// FuzzPublished takes in messages of a publisher, and ends with a snapshot or an error.
func FuzzPublished(f *testing.F) {
	f.Add("a", []byte(`{"seq":1,"key":"a","value":1}`), "a", []byte(`{"seq":2,"key":"a","deleted":true}`))
	f.Add("a", []byte(`{"seq":2,"key":"a","value":1}`), "a", []byte(`{"seq":1,"key":"a","value":0}`))
	f.Add(syncTopic, []byte(`{"seq":2}`), "b", []byte(`{"seq":1,"key":"b","value":0}`))
	f.Add(syncTopic, []byte(`{`), "b", []byte(`{"seq":3,"key":"a","value":0}`))
	f.Fuzz(func(t *testing.T, key1 string, object1 []byte, key2 string, object2 []byte) {
		s := &socketSource{known: map[string]*Change{}}
		for _, m := range []struct {
			key    string
			object []byte
		}{{key1, object1}, {key2, object2}} {
			u, err := s.take(m.key, m.object)
			if err != nil {
				return
			}
			if u.Change != nil && u.Change.Key != m.key {
				t.Errorf("a message of %q changes %q", m.key, u.Change.Key)
			}
		}
		if u := s.snapshot(); !s.synced && len(u.Snapshot.Values) > 2 {
			t.Errorf("two messages make %v", u.Snapshot)
		}
	})
}
