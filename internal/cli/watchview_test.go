package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan/state"
)

// A watched is a table whose time and messages a test gives.
type watched struct {
	*testing.T
	*watchTable
	now time.Time
	seq uint64
}

func newWatched(t *testing.T, width, height int) *watched {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := &watched{T: t, watchTable: newWatchTable("unix:///run/s.sock", false, now), now: now}
	w.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return w
}

// wait lets time pass, in the table's steps.
func (w *watched) wait(d time.Duration) {
	for range d / watchTick {
		w.now = w.now.Add(watchTick)
		w.Update(watchTime(w.now))
	}
}

func (w *watched) snapshot(values map[string]string) {
	raw := map[string]json.RawMessage{}
	for key, value := range values {
		raw[key] = json.RawMessage(value)
	}
	w.Update(watchUpdates{now: w.now, updates: []state.Update{{Snapshot: &state.Snapshot{Seq: w.seq, Values: raw}}}})
}

// set sends a change; an empty value deletes.
func (w *watched) set(key, value string) {
	w.seq++
	c := &state.Change{Seq: w.seq, Time: w.now, Key: key}
	if value != "" {
		c.Value = json.RawMessage(value)
	}
	w.Update(watchUpdates{now: w.now, updates: []state.Update{{Change: c}}})
}

// press presses keys: names such as up and ctrl+c, or a text that is typed. It reports whether the table quits.
func (w *watched) press(keys ...string) (quits bool) {
	codes := map[string]tea.Key{
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown},
		"home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd}, "esc": {Code: tea.KeyEscape}, "enter": {Code: tea.KeyEnter},
		"backspace": {Code: tea.KeyBackspace}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+u": {Code: 'u', Mod: tea.ModCtrl},
	}
	for _, name := range keys {
		pressed, named := []tea.Key{codes[name]}, false
		if _, named = codes[name]; !named {
			pressed = nil
			for _, r := range name {
				pressed = append(pressed, tea.Key{Code: r, Text: string(r)})
			}
		}
		for _, key := range pressed {
			_, cmd := w.Update(tea.KeyPressMsg(key))
			if cmd != nil {
				_, quits = cmd().(tea.QuitMsg)
			}
		}
	}
	return quits
}

// text is what the terminal shows, without the spaces at the ends of lines.
func (w *watched) text() string {
	lines := strings.Split(ansi.Strip(w.View().Content), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// keys are the keys that the terminal shows.
func (w *watched) keys() string {
	shown, _ := w.visible()
	var keys []string
	for _, r := range shown {
		keys = append(keys, r.shown)
	}
	return strings.Join(keys, " ")
}

func (w *watched) shows(want string) {
	w.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), w.text()); diff != "" {
		w.Errorf("the terminal (- wanted, + shown):\n%s", diff)
	}
}

func (w *watched) says(want ...string) {
	w.Helper()
	for _, text := range want {
		if !strings.Contains(w.text(), text) {
			w.Errorf("%q is not in\n%s", text, w.text())
		}
	}
}

func TestWatchTable(t *testing.T) {
	t.Parallel()
	w := newWatched(t, 80, 8)
	w.shows(`
 KEY  VALUE                                           AGE              LAST 20s
 waiting for the state




────────────────────────────────────────────────────────────────────────────────
 ● connecting  unix:///run/s.sock  seq 0  0/s  missed 0  0 keys         q quits`)
	w.seq = 41
	w.snapshot(map[string]string{"door": `"open"`, "cpu.load1": "0.25", "lamp": `{"on": true}`})
	w.wait(2 * time.Second)
	w.set("cpu.load1", "0.5")
	w.wait(time.Second)
	w.set("cpu.load1", "1")
	w.set("alarm", "null")
	w.shows(`
 KEY        VALUE                                     AGE              LAST 20s
 alarm      null                                       0s
 cpu.load1  1                                          0s                   ▁▃█
 door       open                                        –
 lamp       {"on": true}                                –

────────────────────────────────────────────────────────────────────────────────
 ● live  unix:///run/s.sock  seq 44  0.3/s  missed 0  4 keys            q quits`)
	w.set("door", "")
	w.says("door       deleted")
	w.wait(90 * time.Minute)
	w.set("alarm", `"on"`)
	w.shows(`
 KEY        VALUE                                     AGE              LAST 20s
 alarm      on                                         0s
 cpu.load1  1                                          1h  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
 lamp       {"on": true}                                –


────────────────────────────────────────────────────────────────────────────────
 ● live  unix:///run/s.sock  seq 46  0/s  missed 0  3 keys              q quits`)
}

// TestWatchLink: what the last line says of the connection, and that a snapshot after a loss is told as changes.
func TestWatchLink(t *testing.T) {
	t.Parallel()
	w := newWatched(t, 100, 8)
	w.Update(watchLink{err: errors.New("connection refused")})
	w.says("● no connection, retrying", " connection refused")
	w.snapshot(map[string]string{"a": "1", "b": "2", "c": "3"})
	w.says("● live")
	w.wait(5 * time.Second)
	w.Update(watchLink{err: errors.New("reset\x1b[31m")})
	w.says("● lost, retrying", `reset\x1b[31m`, "a    1")
	w.snapshot(map[string]string{"a": "1", "b": "20", "d": "4"})
	w.says("● live", "a    1   ", "b    20  ", "c    deleted", "d    4   ")
	for _, r := range w.rows.sorted {
		if r.fresh(w.now) != (r.key != "a") {
			t.Errorf("%s: fresh %v", r.key, r.fresh(w.now))
		}
	}
	w.snapshot(nil)
	w.wait(deletedFor)
	w.says("the state is empty", "0 keys")
	w.rows.apply(state.Update{Change: &state.Change{Seq: 9, Key: "a", Value: []byte("1"), Missed: 3}}, w.now)
	w.rows.apply(state.Update{Change: &state.Change{Seq: 12, Key: "a", Value: []byte("2"), Missed: 2}}, w.now)
	w.says("seq 12", "missed 5")
}

func TestWatchHighlight(t *testing.T) {
	t.Parallel()
	w := newWatched(t, 80, 8)
	w.snapshot(map[string]string{"door": `"open"`})
	highlighted := func(text string) bool {
		return strings.Contains(w.View().Content, w.look.fresh.paint(text))
	}
	if highlighted("open") {
		t.Error("what was so from the start is highlighted")
	}
	w.set("door", `"closed"`)
	if !highlighted("closed") {
		t.Error("a change is not highlighted")
	}
	w.wait(freshFor - watchTick)
	if !highlighted("closed") {
		t.Error("a change is not highlighted long enough")
	}
	w.wait(watchTick)
	if highlighted("closed") {
		t.Error("a change is highlighted for too long")
	}
}

// TestWatchColours: none without them, and others for light and for dark.
func TestWatchColours(t *testing.T) {
	t.Parallel()
	frames := map[string]bool{}
	for _, colours := range []bool{false, true} {
		for on := unknownBackground; on <= lightBackground; on++ {
			w := newWatched(t, 80, 8)
			w.look = newWatchLook(colours, on)
			w.snapshot(map[string]string{"a": "1", "b": "true", "c": `"x"`})
			w.set("a", "2")
			w.set("b", "")
			frame := w.View().Content
			if strings.Contains(frame, "38;5") != colours || strings.Contains(frame, "48;5") != (colours && on != unknownBackground) {
				t.Errorf("colours %v: %q", colours, frame)
			}
			frames[frame] = true
		}
	}
	if len(frames) != 4 {
		t.Errorf("%d looks, want one without colours and three with", len(frames))
	}
}

func TestWatchScroll(t *testing.T) {
	t.Parallel()
	w := newWatched(t, 80, 4+tableFrame)
	values := map[string]string{}
	for i := range 10 {
		values[fmt.Sprintf("k%d", i)] = "1"
	}
	w.snapshot(values)
	for _, step := range []struct{ key, want string }{
		{"up", "k0 k1 k2 k3"},
		{"down", "k1 k2 k3 k4"},
		{"pgdown", "k4 k5 k6 k7"},
		{"pgdown", "k6 k7 k8 k9"},
		{"down", "k6 k7 k8 k9"},
		{"pgup", "k3 k4 k5 k6"},
		{"home", "k0 k1 k2 k3"},
		{"end", "k6 k7 k8 k9"},
		{"up", "k5 k6 k7 k8"},
	} {
		w.press(step.key)
		if got := w.keys(); got != step.want {
			t.Errorf("%s: %s, want %s", step.key, got, step.want)
		}
	}
	w.says("keys 6–9 of 10")
	w.Update(tea.WindowSizeMsg{Width: 80, Height: 40})
	if got := w.keys(); got != "k0 k1 k2 k3 k4 k5 k6 k7 k8 k9" {
		t.Errorf("in a larger terminal: %s", got)
	}
}

func TestWatchFilter(t *testing.T) {
	t.Parallel()
	w := newWatched(t, 80, 10)
	w.snapshot(map[string]string{"cpu.0": "1", "cpu.1": "2", "queue": "3", "door": "4", "CPU.2": "5"})
	for _, step := range []struct {
		keys  []string
		want  string
		quits bool
	}{
		{keys: []string{"cpu"}, want: "CPU.2 cpu.0 cpu.1"},
		{keys: []string{".1"}, want: "cpu.1"},
		{keys: []string{"backspace"}, want: "CPU.2 cpu.0 cpu.1"},
		{keys: []string{"esc"}, want: "CPU.2 cpu.0 cpu.1 door queue"},
		{keys: []string{"/", "q"}, want: "queue"},
		{keys: []string{"q"}, want: ""},
		{keys: []string{"ctrl+u"}, want: "CPU.2 cpu.0 cpu.1 door queue"},
		{keys: []string{"doo", "backspace", "backspace", "backspace", "backspace"}, want: "CPU.2 cpu.0 cpu.1 door queue"},
		{keys: []string{"q"}, want: "queue"}, // for a filter was begun
		{keys: []string{"esc"}, want: "CPU.2 cpu.0 cpu.1 door queue"},
		{keys: []string{"esc"}, want: "CPU.2 cpu.0 cpu.1 door queue", quits: true},
		{keys: []string{"q"}, want: "CPU.2 cpu.0 cpu.1 door queue", quits: true},
		{keys: []string{"nothing"}, want: ""},
		{keys: []string{"ctrl+c"}, want: "", quits: true},
	} {
		if quits := w.press(step.keys...); quits != step.quits || w.keys() != step.want {
			t.Errorf("%s: quits %v, %q; want %v, %q", step.keys, quits, w.keys(), step.quits, step.want)
		}
	}
	w.says("no key has nothing in it", "/nothing", "0 of 5 keys")
	w.press("esc")
	w.Update(tea.PasteMsg{Content: "door\x1b"})
	w.says(`/door\x1b`)
	w.Update(tea.PasteMsg{Content: strings.Repeat("x", 1<<20)})
	if len(w.filter) > maxFilter {
		t.Errorf("a filter of %d bytes", len(w.filter))
	}
}

// TestWatchBounds: a server that sends more and more keys, or long ones, is not given more and more memory.
func TestWatchBounds(t *testing.T) {
	t.Parallel()
	w := newWatched(t, 200, 10)
	w.snapshot(nil)
	for i := range maxRows + 10 {
		w.rows.set(fmt.Sprintf("%08d", i), []byte("1"), w.now)
	}
	if len(w.rows.sorted) != maxRows || w.rows.left != 10 {
		t.Errorf("%d rows, %d left out", len(w.rows.sorted), w.rows.left)
	}
	w.says("no room for more keys")
	w.rows.set("00000001", nil, w.now)
	w.wait(deletedFor)
	w.rows.set("new", []byte("1"), w.now)
	if w.rows.byKey["new"] == nil {
		t.Error("there is no room after a key was deleted")
	}
	w.rows.set("long", []byte(`"`+strings.Repeat("x", 1<<20)+`"`), w.now)
	if r := w.rows.byKey["00000000"]; r == nil || len(w.rows.byKey) != maxRows {
		t.Errorf("%d rows", len(w.rows.byKey))
	}
	if v := newValueText([]byte(`"` + strings.Repeat("é", 1<<20) + `"`)); len(v.text) > maxRowText+len("…") {
		t.Errorf("%d bytes of a value are kept", len(v.text))
	}
	var room keyRoom
	if room.take(strings.Repeat("x", maxRowKeys+1)) {
		t.Error("there is room for a key that is too long")
	}
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		past []float64
		want string
	}{
		{nil, ""},
		{[]float64{3}, "    ▁"},
		{[]float64{0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▄▆█"},
		{[]float64{-math.MaxFloat64, math.MaxFloat64}, "   ▁█"},
		{[]float64{0, 100, 50}, "  ▁█▄"},
		{[]float64{1e-320, 0}, "   █▁"},
	} {
		if got := sparkline(test.past, 5); got != test.want {
			t.Errorf("%v: %q, want %q", test.past, got, test.want)
		}
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", time.Hour: "1h", 99 * time.Hour: "99h", 100 * time.Hour: "4d", 9000 * time.Hour: "375d",
	} {
		if got := age(now.Add(-d), now); got != want || len(got) > ageWidth {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestValueLine(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`"open"`: "open", `"two words"`: "two words", `""`: `""`, `"42"`: `"42"`, `42`: "42", `"true"`: `"true"`, `" x"`: `" x"`,
		`"a\nb"`: `"a\nb"`, `"\u001b[0m"`: `"\u001b[0m"`, `"Tür"`: "Tür", `null`: "null", `{"a":[1,2]}`: `{"a":[1,2]}`, "\"\u009b\"": `"\u009b"`,
	} {
		if got := valueLine([]byte(value)); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

// FuzzWatchTable: whatever a state has in it, each line fits the terminal, and has nothing but text and SGR in it.
func FuzzWatchTable(f *testing.F) {
	f.Add("door", []byte(`"open"`), 80, 24, "d")
	f.Add("\x1b[2J", []byte(`"\u009b31m`), 20, 5, "")
	f.Add("缶缶缶缶缶缶", []byte("\"缶缶缶缶缶缶\""), 7, 9, "缶")
	f.Add("k", []byte("1e308"), 1, 1, "")
	f.Add("k", []byte("-1"), 0, 0, "x")
	f.Fuzz(func(t *testing.T, key string, value []byte, width, height int, filter string) {
		if width < 0 || height < 0 || width > 300 || height > 100 {
			t.Skip()
		}
		w := newWatched(t, width, height)
		w.snapshot(map[string]string{key: string(value), key + "2": "2", "number": "3"})
		w.set(key, string(value)+" ")
		w.set("number", "4")
		w.typed(filter)
		w.wait(2 * time.Second)
		lines := strings.Split(w.View().Content, "\n")
		if len(lines) != max(1, height) {
			t.Errorf("%d lines in a terminal of %d", len(lines), height)
		}
		for _, line := range lines {
			if n := ansi.StringWidth(line); n > width {
				t.Errorf("%q is %d wide in a terminal of %d", line, n, width)
			}
			checkHarmless(t, ansi.Strip(line))
			if rest := strings.Count(line, "\x1b"); rest != strings.Count(line, "\x1b[") {
				t.Errorf("%q has an escape that is no SGR", line)
			}
		}
	})
}
