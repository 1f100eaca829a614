package state

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// same fails unless s has table's values.
func same(t *testing.T, table *Table, s *Snapshot, prefix ...string) {
	t.Helper()
	if diff := cmp.Diff(valuesOf(table.Snapshot(prefix...).Values), valuesOf(s.Values)); diff != "" {
		t.Error(diff)
	}
}

func TestFollow(t *testing.T) {
	for _, kind := range kinds {
		t.Run(strings.Split(kind, ":")[0], func(t *testing.T) {
			table := &Table{}
			mustSet(t, table, "door", "open")
			mustSet(t, table, "cpu.load1", 0.42)
			h := serve(t, &Server{Table: table}, kind)

			f := follow(t, h.url, FollowOptions{})
			u := next(t, f)
			if u.Snapshot == nil || u.Snapshot.Seq != 2 {
				t.Fatalf("the first update is %+v", u)
			}
			var s Snapshot
			s.Apply(u)
			same(t, table, &s)
			mustSet(t, table, "door", "closed")
			u = next(t, f)
			if c := u.Change; c == nil || c.Seq != 3 || c.Key != "door" || string(c.Value) != `"closed"` || c.Missed != 0 || time.Since(c.Time).Abs() > patience {
				t.Fatalf("the change is %+v", c)
			}
			table.Delete("door")
			if c := next(t, f).Change; c == nil || c.Seq != 4 || c.Key != "door" || !c.Deleted() {
				t.Fatalf("the deletion is %+v", c)
			}

			narrow := follow(t, h.url, FollowOptions{Prefixes: []string{"cpu.", "mem."}})
			var n Snapshot
			n.Apply(next(t, narrow))
			same(t, table, &n, "cpu.")
			mustSet(t, table, "door", "ajar")
			mustSet(t, table, "cpu.load5", 1)
			if c := next(t, narrow).Change; c == nil || c.Key != "cpu.load5" || c.Missed != 0 {
				t.Errorf("a narrowed follower is told %+v", c)
			}
		})
	}
}

// TestFollowAcrossRestart ends the server, and starts another with another state at the same place.
func TestFollowAcrossRestart(t *testing.T) {
	for _, kind := range kinds {
		t.Run(strings.Split(kind, ":")[0], func(t *testing.T) {
			first, second := &Table{}, &Table{}
			mustSet(t, first, "a", 1)
			mustSet(t, first, "gone", 1)
			mustSet(t, second, "a", 2)
			h := serve(t, &Server{Table: first}, kind)
			lost := make(chan error, 100)
			f := follow(t, h.url, FollowOptions{OnLost: func(err error, _ time.Duration) {
				select {
				case lost <- err:
				default:
				}
			}})
			var s Snapshot
			s.Apply(next(t, f))
			same(t, first, &s)
			h.stop()
			if err := <-lost; err == nil {
				t.Error("lost for no reason")
			}
			serve(t, &Server{Table: second}, h.url)
			u := next(t, f)
			if u.Snapshot == nil || u.Snapshot.Seq != 1 {
				t.Fatalf("after the restart comes %+v", u)
			}
			s.Apply(u)
			same(t, second, &s)
			mustSet(t, second, "b", 3)
			s.Apply(next(t, f))
			same(t, second, &s)
		})
	}
}

// TestFinish has what was changed before it told to everybody, and nobody cut off.
func TestFinish(t *testing.T) {
	for _, kind := range kinds {
		t.Run(strings.Split(kind, ":")[0], func(t *testing.T) {
			table := &Table{}
			s := &Server{Table: table}
			h := serve(t, s, kind)
			f := follow(t, h.url, FollowOptions{Once: true})
			var got Snapshot
			got.Apply(next(t, f))
			for i := range 1000 {
				mustSet(t, table, fmt.Sprint(i), i)
			}
			s.Finish()
			for {
				u, err := f.Next(t.Context())
				if errors.Is(err, io.ErrUnexpectedEOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got.Apply(u)
			}
			same(t, table, &got)
			if _, err := f.Next(t.Context()); err == nil {
				t.Error("there is more after the end")
			}
		})
	}
}

func TestSet(t *testing.T) {
	for _, kind := range kinds {
		t.Run(strings.Split(kind, ":")[0], func(t *testing.T) {
			table := &Table{MaxKey: 8}
			mustSet(t, table, "a", 1)
			h := serve(t, &Server{Table: table, Writable: true}, kind)
			f := follow(t, h.url, FollowOptions{})
			err := f.Set(t.Context(), map[string]any{"a": 2, "b": []int{1, 2}})
			if strings.HasPrefix(kind, "http") {
				if !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("over HTTP: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := table.Get("b"); string(v) != "[1,2]" {
				t.Errorf("b is %s", v)
			}
			var refused *RemoteError
			if err := f.Set(t.Context(), map[string]any{"a": 3, "much too long": 1}); !errors.As(err, &refused) {
				t.Errorf("a key that is too long: %v", err)
			}
			if v, _ := table.Get("a"); string(v) != "2" {
				t.Errorf("a is %s", v)
			}
			if err := f.Set(t.Context(), map[string]any{"a": strings.Repeat("x", MaxLine)}); !errors.Is(err, ErrValue) {
				t.Errorf("a line that is too long: %v", err)
			}
			h.stop()
			readonly := serve(t, &Server{Table: table}, h.url)
			if err := f.Set(t.Context(), map[string]any{"a": 3}); !errors.As(err, &refused) {
				t.Errorf("not writable: %v", err)
			}
			readonly.stop()
			if err := f.Set(t.Context(), map[string]any{"a": 3}); err == nil || errors.As(err, &refused) {
				t.Errorf("without a server: %v", err)
			}
			_ = f.Close()
			if err := f.Set(t.Context(), map[string]any{"a": 3}); err == nil {
				t.Error("a closed follower sets")
			}
		})
	}
}

func TestNoFollowing(t *testing.T) {
	for _, url := range []string{"udp://127.0.0.1:1", "tcp://", "nonsense", "http://h:99999999", "https://h?no-such=1"} {
		var wrong *tincan.EndpointError
		if f, err := Follow(url, nil); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", url, err)
			if err == nil {
				_ = f.Close()
			}
		}
	}
	f := follow(t, "tcp://127.0.0.1:1", FollowOptions{Once: true})
	if _, err := f.Next(t.Context()); tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("nobody there: %v", err)
	}
	patient := follow(t, "tcp://127.0.0.1:1", FollowOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := patient.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody there, and ctx ends: %v", err)
	}
}

// A talker is a client that speaks lines.
type talker struct {
	t     *testing.T
	lines *bufio.Reader
	w     io.Writer
}

func talk(t *testing.T, url string) *talker {
	t.Helper()
	c := dial(t, url)
	return &talker{t, bufio.NewReader(c), c}
}

func (k *talker) say(line string) {
	k.t.Helper()
	if _, err := io.WriteString(k.w, line+"\n"); err != nil {
		k.t.Fatal(err)
	}
}

// hear gives the next line as an object.
func (k *talker) hear() map[string]any {
	k.t.Helper()
	line, err := k.lines.ReadBytes('\n')
	if err != nil {
		k.t.Fatalf("%s, %v", line, err)
	}
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		k.t.Fatalf("%s: %v", line, err)
	}
	return m
}

func (k *talker) wants(key string) map[string]any {
	k.t.Helper()
	m := k.hear()
	if _, ok := m[key]; !ok {
		k.t.Errorf("said %v, want %s", m, key)
	}
	return m
}

func TestLines(t *testing.T) {
	table := &Table{}
	mustSet(t, table, "a", 1)
	s := &Server{Table: table, Writable: true}
	h := serve(t, s, "tcp://127.0.0.1:0")
	k := talk(t, h.url)
	if m := k.wants("snapshot"); m["seq"] != 1.0 {
		t.Errorf("seq is %v", m["seq"])
	}
	for _, line := range []string{
		"hello", "{}", "[]", "null", "1", `{"keys":null}`, `{"keys":"a"}`, `{"keys":[1]}`, `{"set":null}`, `{"set":[]}`, `{"keys":[],"set":{}}`,
		`{"Keys":[]}`, `{"get":1}`, `{"set":{"a":2}}x`, `{"set":{"":2}}`, `{"set":{"a":2,"b` + "\x01" + `":1}}`, "{\"set\":{\"a\":\"\xff\"}}",
	} {
		k.say(line)
		k.wants("error")
	}
	k.say("")
	k.say(`{"set":{"a":2,"b":{"c":[1, 2]}}}`)
	first, second := k.wants("value"), k.wants("value")
	if first["seq"] != 2.0 || second["seq"] != 3.0 {
		t.Errorf("set is told as %v, %v", first, second)
	}
	k.say(`{"keys":["b"]}`)
	if m := k.wants("snapshot"); len(m["snapshot"].(map[string]any)) != 1 {
		t.Errorf("narrowed to %v", m)
	}
	k.say(`{"keys":[]}`)
	if m := k.wants("snapshot"); len(m["snapshot"].(map[string]any)) != 2 {
		t.Errorf("widened to %v", m)
	}
	if got := s.Stats(); got.Followers != 1 || got.Refused != 17 || got.Requests != 20 || got.Changes != 3 || got.Delivered != 2 || got.Snapshots != 3 {
		t.Errorf("%+v", got)
	}
}

// TestLongLine ends a connection by an error, however the client goes on.
func TestLongLine(t *testing.T) {
	h := serve(t, &Server{Table: &Table{}, Writable: true}, "tcp://127.0.0.1:0")
	k := talk(t, h.url)
	k.wants("snapshot")
	long := `{"set":{"a":"` + strings.Repeat("x", MaxLine) + `"}}`
	go func() {
		for range 20 {
			if _, err := io.WriteString(k.w, long); err != nil {
				return
			}
		}
	}()
	k.wants("error")
	if rest, err := io.ReadAll(k.lines); len(rest) > 0 || err != nil {
		t.Errorf("then come %q, %v", rest, err)
	}

	h = serve(t, &Server{Table: &Table{}, Writable: true}, "ws://127.0.0.1:0")
	conn, err := (&tincan.Dialer{Config: config()}).DialMessage(t.Context(), h.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := messageReader{conn: conn, limit: MaxLine}
	if _, err := r.next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMessage(t.Context(), []byte(long)); err != nil {
		t.Fatal(err)
	}
	if line, err := r.next(t.Context()); err != nil || !strings.Contains(string(line), `"error"`) {
		t.Errorf("over WebSocket comes %s, %v", line, err)
	}
	if line, err := r.next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("then come %s, %v", line, err)
	}
}

// TestHalfClose has a client that says nothing more still be told.
func TestHalfClose(t *testing.T) {
	table := &Table{}
	s := &Server{Table: table}
	h := serve(t, s, "tcp://127.0.0.1:0")
	c := dial(t, h.url)
	lines := frame.NewReader(c, frame.Line, 0)
	if _, err := lines.Read(); err != nil {
		t.Fatal(err)
	}
	if err := tincan.CloseWrite(c); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		mustSet(t, table, "a", i)
		if line, err := lines.Read(); err != nil || !strings.Contains(string(line), fmt.Sprintf(`"value":%d}`, i)) {
			t.Fatalf("%s, %v", line, err)
		}
	}
	_ = c.Close()
	for s.Stats().Followers > 0 { // it is found out by the changes that follow
		mustSet(t, table, "a", time.Now().UnixNano())
		time.Sleep(time.Millisecond)
	}
}

// TestSlowClientIsConflated changes the state while a client doesn't read, until nothing more goes into its connection.
func TestSlowClientIsConflated(t *testing.T) {
	table := &Table{}
	s := &Server{Table: table}
	h := serve(t, s, "tcp://127.0.0.1:0?send-buffer=16KiB")
	c := dial(t, h.url+"?recv-buffer=16KiB")
	lines := frame.NewReader(c, frame.Line, 0)
	if _, err := lines.Read(); err != nil {
		t.Fatal(err)
	}
	quick := follow(t, h.url, FollowOptions{})
	var q Snapshot
	q.Apply(next(t, quick))
	padding := strings.Repeat("x", 500)
	const changes = 30_000
	for i := range changes {
		mustSet(t, table, fmt.Sprint("key", i%50), fmt.Sprint(i, padding))
		if i%1000 == 0 {
			until(t, quick, &q, func() bool { return q.Seq == table.Seq() })
		}
	}
	var got Snapshot
	var told, missed uint64
	for got.Seq < changes {
		line, err := lines.Read()
		if err != nil {
			t.Fatal(err)
		}
		u, err := parseUpdate(line)
		if err != nil {
			t.Fatal(err)
		}
		if u.Change.Seq != got.Seq+1+u.Change.Missed {
			t.Fatalf("change %d after %d says %d were missed", u.Change.Seq, got.Seq, u.Change.Missed)
		}
		told, missed = told+1, missed+u.Change.Missed
		got.Apply(u)
	}
	same(t, table, &got)
	if told+missed != changes || missed < changes/10 {
		t.Errorf("%d told and %d missed of %d", told, missed, changes)
	}
}

func TestHTTP(t *testing.T) {
	table := &Table{}
	mustSet(t, table, "a", 1)
	mustSet(t, table, "b", 1)
	h := serve(t, &Server{Table: table}, "http://127.0.0.1:0")
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/state", 200, `{"seq":2,"snapshot":{"a":1,"b":1}}` + "\n"},
		{"GET", "/state?keys=b", 200, `{"seq":2,"snapshot":{"b":1}}` + "\n"},
		{"HEAD", "/state", 200, ""},
		{"HEAD", "/events", 200, ""},
		{"POST", "/state", 405, "Only GET and HEAD are allowed\n"},
		{"GET", "/", 404, "There is nothing here but /state and /events\n"},
		{"GET", "/state?keys=" + strings.Repeat("k", 2000), 400, "The prefixes are too many or too long\n"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, h.url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != c.status || string(body) != c.body || err != nil {
			t.Errorf("%s %s: %s %q, %v", c.method, c.path, answer.Status, body, err)
		}
	}
}
