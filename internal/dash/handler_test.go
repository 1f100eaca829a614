package dash

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/state"
)

// An eventLine is what an event's data holds.
type eventLine struct {
	Snapshot map[string]json.RawMessage `json:"snapshot"`
	Key      string                     `json:"key"`
	Value    json.RawMessage            `json:"value"`
}

// follow opens a stream of events, and gives what waits for the next one.
func follow(t *testing.T, h http.Handler, target string) func() eventLine {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	withCookie(r)
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("status %d, type %q", answer.StatusCode, kind)
	}
	lines := bufio.NewScanner(answer.Body)
	return func() (line eventLine) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &line); err != nil {
					t.Fatal(err)
				}
				return line
			}
		}
		t.Fatalf("the events ended: %v", lines.Err())
		return line
	}
}

func TestEventsHaveTheChosenLife(t *testing.T) {
	h, m := newTestHandler(t, nil)
	for port := range 12 {
		m.Trace().Accepted(listener, newConn(5000+port))
	}
	m.publishNews()
	next := follow(t, h, "/events?life=1&keys=secret")
	first := next().Snapshot
	if first["conn.12"] == nil || first["about"] == nil || first["life.1"] == nil {
		t.Errorf("the snapshot is %v", first)
	}
	m.Conn(m.conns[1].keys[0]).Passed(5, 0, "")
	m.publishNews()
	for {
		if line := next(); line.Key == "life.1" {
			var v lifeValue
			if err := json.Unmarshal(line.Value, &v); err != nil || len(v.Steps) != 2 || v.Steps[1].Bytes != 5 {
				t.Errorf("life %s: %v", line.Value, err)
			}
			break
		}
	}
}

func TestPublishedStateIsServed(t *testing.T) {
	var published *state.Table
	h, _ := newTestHandler(t, func(o *Options) { o.Published = func() *state.Table { return published } })
	published = &state.Table{}
	if err := published.Set("door", "open"); err != nil {
		t.Fatal(err)
	}
	next := follow(t, h, "/published/events")
	if got := string(next().Snapshot["door"]); got != `"open"` {
		t.Errorf("door is %s", got)
	}
	if err := published.Set("door", "closed"); err != nil {
		t.Fatal(err)
	}
	if line := next(); line.Key != "door" || string(line.Value) != `"closed"` {
		t.Errorf("change %+v", line)
	}
}

func TestHistory(t *testing.T) {
	h, m := newTestHandler(t, nil)
	m.sampled = time.Now().Add(-time.Second)
	m.sample(time.Now())
	answer := ask(h, http.MethodGet, "/history", withCookie)
	var samples []Sample
	if err := json.NewDecoder(answer.Body).Decode(&samples); err != nil || len(samples) != 1 || samples[0].At == 0 {
		t.Errorf("%v, %v", samples, err)
	}
}
