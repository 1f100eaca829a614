package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// tableFrame is the lines that are not the state's: the head, and at the foot a rule and the status.
const tableFrame = 3

// Where the terminal is narrower than these, a column gives way to the value.
const (
	widthWithPast = 64
	widthWithAge  = 36
)

const (
	ageWidth = 4 // of "999d"
	gap      = "  "
)

// A columns is how wide the table's columns are, in cells; 0 is not shown.
type columns struct{ key, value, age, past int }

func (t *watchTable) columns(shown []*watchRow) columns {
	c := columns{key: len("KEY")}
	if t.width >= widthWithAge {
		c.age = ageWidth
	}
	if t.width >= widthWithPast {
		c.past = min(historySize, t.width/4)
	}
	for _, r := range shown {
		c.key = max(c.key, ansi.StringWidth(r.shown))
	}
	c.key = min(c.key, t.width*2/5)
	c.value = t.width - 2 - c.key - len(gap) // a margin of one cell on each side
	for _, w := range []int{c.age, c.past} {
		if w > 0 {
			c.value -= w + len(gap)
		}
	}
	c.value = max(c.value, 0)
	return c
}

// View draws the whole of the terminal.
func (t *watchTable) View() tea.View {
	v := tea.NewView(strings.Join(t.draw(), "\n"))
	v.AltScreen = true
	return v
}

// draw gives the terminal's lines, each as wide as it is.
func (t *watchTable) draw() []string {
	shown, matching := t.visible()
	c := t.columns(shown)
	lines := make([]string, 0, t.height)
	lines = append(lines, t.head(c))
	for _, r := range shown {
		lines = append(lines, t.row(r, c))
	}
	if len(shown) == 0 && t.room() > 0 {
		lines = append(lines, t.look.dim.paint(" "+cell(t.nothing(), t.width-2)))
	}
	for len(lines) < t.height-2 {
		lines = append(lines, "")
	}
	lines = append(lines, t.look.dim.paint(strings.Repeat("─", t.width)), t.status(len(shown), len(matching)))
	return lines[max(0, len(lines)-t.height):] // a terminal too low for all has the foot
}

// nothing says why there is no row.
func (t *watchTable) nothing() string {
	switch {
	case len(t.rows.sorted) > 0:
		return "no key has " + t.filter + " in it"
	case t.everLive:
		return "the state is empty"
	case t.lost != nil:
		return harmless(t.lost.Error())
	}
	return "waiting for the state"
}

func (t *watchTable) head(c columns) string {
	text := " " + cell("KEY", c.key) + gap + cell("VALUE", c.value)
	if c.age > 0 {
		text += gap + fmt.Sprintf("%*s", c.age, "AGE")
	}
	if c.past > 0 {
		text += gap + fmt.Sprintf("%*s", c.past, fmt.Sprintf("LAST %v", time.Duration(c.past)*sampleEvery))
	}
	return t.look.head.paint(text)
}

func (t *watchTable) row(r *watchRow, c columns) string {
	key, value := t.look.key, t.look.plain
	text := r.value.text
	switch {
	case r.deleted:
		key, value, text = t.look.gone, t.look.lost, "deleted"
	case r.fresh(t.now):
		value = t.look.fresh
	case r.value.isNumber:
		value = t.look.number
	case !r.value.isString:
		value = t.look.other
	}
	// The highlight is as wide as the value, not as its column.
	shown := ansi.Truncate(text, c.value, "…")
	pad := strings.Repeat(" ", max(0, c.value-ansi.StringWidth(shown)))
	line := " " + key.paint(cell(r.shown, c.key)) + gap + value.paint(shown) + pad
	if c.age > 0 {
		line += gap + t.look.dim.paint(fmt.Sprintf("%*s", c.age, age(r.changed, t.now)))
	}
	if c.past > 0 {
		past := t.look.past
		if len(r.past) == 0 || slices.Min(r.past) == slices.Max(r.past) {
			past = t.look.dim
		}
		line += gap + past.paint(sparkline(r.past, c.past))
	}
	return line
}

// status is the last line: the connection, and what can be done. Where there is too little room the hints go, then
// the end of the endpoint.
func (t *watchTable) status(shown, matching int) string {
	left := t.linkText()
	if t.filter != "" || t.filtering {
		left += gap + t.look.filter.paint("/"+t.filter+"▏")
	}
	missed := t.look.dim
	if t.rows.missed > 0 {
		missed = t.look.waiting
	}
	right := strings.Join([]string{
		fmt.Sprintf("seq %d", t.rows.seq), rateText(t.rate()), missed.paint(fmt.Sprintf("missed %d", t.rows.missed)), t.position(shown, matching),
	}, gap)
	if t.rows.left > 0 {
		right += gap + t.look.lost.paint("no room for more keys")
	}
	space := t.width - 2 - ansi.StringWidth(left) - ansi.StringWidth(right) - 2*len(gap)
	endpoint := ansi.Truncate(t.endpoint, max(space, 0), "…")
	line := " " + left + gap + endpoint + gap + right
	hints := []string{"type to filter" + gap + "q quits", "q quits"}
	if t.filter != "" || t.filtering {
		hints = []string{"esc ends the filter"}
	}
	for _, hint := range hints {
		if pad := t.width - 1 - ansi.StringWidth(line) - len(hint); pad >= 2*len(gap) {
			return line + strings.Repeat(" ", pad) + t.look.dim.paint(hint)
		}
	}
	return ansi.Truncate(line, max(0, t.width-1), "…")
}

// linkText says how it stands with the connection.
func (t *watchTable) linkText() string {
	switch {
	case t.live:
		return t.look.live.paint("● live")
	case t.lost == nil && !t.everLive:
		return t.look.waiting.paint("● connecting")
	case !t.everLive:
		return t.look.lost.paint("● no connection, retrying")
	}
	text := t.look.lost.paint("● lost, retrying")
	if t.lost != nil && t.width >= widthWithPast {
		text += t.look.dim.paint(" " + ansi.Truncate(harmless(t.lost.Error()), t.width/4, "…"))
	}
	return text
}

// position says which rows of how many are shown.
func (t *watchTable) position(shown, matching int) string {
	of := len(t.rows.sorted)
	switch {
	case shown < matching:
		return fmt.Sprintf("keys %d–%d of %d", t.top+1, t.top+shown, matching)
	case matching < of:
		return fmt.Sprintf("%d of %d keys", matching, of)
	case of == 1:
		return "1 key"
	}
	return fmt.Sprintf("%d keys", of)
}

// rateText is a number of changes a second in few digits.
func rateText(rate float64) string {
	if rate >= 10 || rate == 0 {
		return fmt.Sprintf("%.0f/s", rate)
	}
	return fmt.Sprintf("%.1f/s", rate)
}

// age is how long ago something was, in the largest unit that fits; nothing where that is not known.
func age(then, now time.Time) string {
	if then.IsZero() {
		return "–"
	}
	d := max(0, now.Sub(then))
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 100*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// cell cuts or fills text to a width.
func cell(text string, width int) string {
	text = ansi.Truncate(text, max(0, width), "…")
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

var bars = []rune("▁▂▃▄▅▆▇█")

// sparkline draws the last numbers, one a cell, from the least to the most of them; the latest is at the right.
func sparkline(past []float64, width int) string {
	past = past[max(0, len(past)-width):]
	if len(past) == 0 {
		return ""
	}
	least, most := slices.Min(past), slices.Max(past)
	line := []rune(strings.Repeat(" ", width-len(past)))
	for _, number := range past {
		level := 0
		if most > least { // halved, for the difference of the two may be too large for a float64
			level = int((number/2 - least/2) / (most/2 - least/2) * float64(len(bars)-1))
		}
		line = append(line, bars[level])
	}
	return string(line)
}
