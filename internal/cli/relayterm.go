package cli

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/tincan-ipc/tincan/internal/local"
)

// rawTerminal hands each key to a program on a pseudo-terminal, which does
// with it what a terminal would. The function that it gives undoes that.
func (r *relaying) rawTerminal() (restore func()) {
	fd := int(r.stdin.Fd())
	if !r.passesTerminal() {
		return func() {}
	}
	before, err := term.MakeRaw(fd)
	if err != nil {
		return func() {}
	}
	return func() { _ = term.Restore(fd, before) }
}

// passesTerminal reports whether a terminal is passed on to a program's own.
func (r *relaying) passesTerminal() bool {
	from := r.plan.from.end
	return r.flags.pty && from != nil && from.Scheme == "stdio" && term.IsTerminal(int(r.stdin.Fd()))
}

// followSize gives the program's terminal the size of ours when that changes.
func (r *relaying) followSize(c *local.Child) {
	if r.passesTerminal() {
		onResize(c.Done(), func() { _ = c.Resize(r.stdin) }) // it may have gone
	}
}

// progressEvery is how often the progress is shown.
const progressEvery = 100 * time.Millisecond

// showProgress shows how far a transfer is, where somebody may be watching and
// nothing else is shown on the terminal. The function that it gives ends that.
func (r *relaying) showProgress(l *link) (stop func()) {
	if !term.IsTerminal(int(r.stderr.Fd())) || r.report.json || r.report.trace || r.flags.hex || r.showsData() {
		return func() {}
	}
	size := int64(-1)
	if r.plan.from.end != nil {
		if n, ok := r.plan.from.end.Size(); ok {
			size = n
		}
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		bar, shown := newProgressBar(r.stderr, size), false // it isn't for what takes but a moment
		bar.StartWithoutRender()                            // the rates are of the time from here on
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				shown = true
				_ = bar.Set64(l.passed(size))
			case <-done:
				if shown {
					_ = bar.Set64(l.passed(size))
					_ = bar.Exit()
					_, _ = r.stderr.WriteString("\n")
				}
				return
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

// passed is how much has, towards a size that is known: both ways where none is.
func (l *link) passed(size int64) int64 {
	if size >= 0 {
		return min(l.received.Load(), size)
	}
	return l.received.Load() + l.sent.Load()
}

func newProgressBar(w io.Writer, size int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionUseIECUnits(true),
		progressbar.OptionThrottle(progressEvery/2), progressbar.OptionSetWidth(30), progressbar.OptionSpinnerType(14))
}

// showsData reports whether what passes is typed or shown on a terminal.
func (r *relaying) showsData() bool {
	for _, s := range append([]relaySide{r.plan.from}, r.plan.to...) {
		if s.end != nil && s.end.Scheme == "stdio" && (term.IsTerminal(int(r.stdin.Fd())) || term.IsTerminal(int(r.stdout.Fd()))) {
			return true
		}
	}
	return false
}
