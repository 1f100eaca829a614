package cli

import (
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/tincan-ipc/tincan/state"
)

// watchTick is how often the table lets time pass: ages, highlights, the rate.
const watchTick = 250 * time.Millisecond

// maxFilter bounds what is typed, or pasted, as a filter; in bytes.
const maxFilter = 200

// What the table is told of, beside keys and the terminal's size.
type (
	// watchUpdates are updates that have come by now.
	watchUpdates struct {
		now     time.Time
		updates []state.Update
	}
	// watchLink is why there is no connection. Each that there is begins with a snapshot.
	watchLink struct{ err error }
	// watchTime is the time, every watchTick.
	watchTime time.Time
)

// A watchTable is the live table of watch: a [tea.Model], which nothing but its messages changes.
type watchTable struct {
	endpoint string // harmless
	rows     watchRows
	live     bool  // there is a connection
	everLive bool  // there has been one
	lost     error // why there is none, nil before the first try
	now      time.Time
	counts   []int // of changes, one a watchTick, the latest last
	counted  int   // of rows.changes, in counts

	width, height int
	top           int // the first row that is shown
	filter        string
	filtering     bool // an empty filter is being typed
	colours       bool
	look          watchLook
}

// newWatchTable makes the table of an endpoint's state. Colours are up to the caller, who knows of NO_COLOR.
func newWatchTable(endpoint string, colours bool, now time.Time) *watchTable {
	return &watchTable{
		endpoint: harmless(endpoint), now: now, width: 80, height: 24,
		colours: colours, look: newWatchLook(colours, unknownBackground),
	}
}

// Init asks what the background is like, for colours that can be read on it.
func (t *watchTable) Init() tea.Cmd { return tea.Batch(tea.RequestBackgroundColor, passTime()) }

func passTime() tea.Cmd {
	return tea.Tick(watchTick, func(now time.Time) tea.Msg { return watchTime(now) })
}

// Update takes in one message.
func (t *watchTable) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case watchUpdates:
		t.now = msg.now
		for _, u := range msg.updates {
			t.rows.apply(u, msg.now)
			if u.Snapshot != nil {
				t.live, t.everLive, t.lost = true, true, nil
			}
		}
	case watchLink:
		t.live, t.lost = false, msg.err
	case watchTime:
		t.pass(time.Time(msg))
		cmd = passTime()
	case tea.WindowSizeMsg:
		t.width, t.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		on := lightBackground
		if msg.IsDark() {
			on = darkBackground
		}
		t.look = newWatchLook(t.colours, on)
	case tea.PasteMsg:
		t.typed(msg.Content)
	case tea.KeyPressMsg:
		cmd = t.pressed(msg)
	}
	return t, cmd
}

// pass lets time pass.
func (t *watchTable) pass(now time.Time) {
	t.now = now
	t.rows.tick(now)
	if len(t.counts) == rateTicks {
		t.counts = t.counts[1:]
	}
	t.counts = append(t.counts, t.rows.changes-t.counted)
	t.counted = t.rows.changes
}

// rateTicks is how much of the past the rate is the mean of.
const rateTicks = int(5 * time.Second / watchTick)

// rate is the changes a second of late.
func (t *watchTable) rate() float64 {
	sum := 0
	for _, n := range t.counts {
		sum += n
	}
	return float64(sum) / max(1, (time.Duration(len(t.counts))*watchTick).Seconds())
}

// pressed does what a key says. What is no key of its own is typed into the filter.
func (t *watchTable) pressed(key tea.KeyPressMsg) tea.Cmd {
	page := max(1, t.room()-1)
	switch key.Keystroke() {
	case "ctrl+c":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "esc":
		if t.filter == "" && !t.filtering {
			return tea.Quit
		}
		t.filter, t.filtering, t.top = "", false, 0
	case "enter":
		t.filtering = false
	case "up":
		t.top--
	case "down":
		t.top++
	case "pgup":
		t.top -= page
	case "pgdown":
		t.top += page
	case "home":
		t.top = 0
	case "end":
		t.top = maxRows
	case "backspace":
		_, size := utf8.DecodeLastRuneInString(t.filter)
		t.filter = t.filter[:len(t.filter)-size]
		t.filtering = true
	case "ctrl+u":
		t.filter = ""
	default:
		if key.Text == "q" && t.filter == "" && !t.filtering {
			return tea.Quit
		}
		if key.Text == "/" && t.filter == "" && !t.filtering {
			t.filtering = true
			return nil
		}
		t.typed(key.Text)
	}
	return nil
}

// typed adds to the filter.
func (t *watchTable) typed(text string) {
	if text == "" || len(t.filter)+len(text) > maxFilter {
		return
	}
	t.filter += harmless(text)
	t.top = 0
}

// room is how many rows of the state the terminal has place for.
func (t *watchTable) room() int { return max(0, t.height-tableFrame) }

// visible gives the rows that the terminal shows, of all that match, and keeps top within these.
func (t *watchTable) visible() (shown, matching []*watchRow) {
	matching = t.rows.matching(t.filter)
	t.top = max(0, min(t.top, len(matching)-t.room()))
	return matching[t.top:min(len(matching), t.top+t.room())], matching
}
