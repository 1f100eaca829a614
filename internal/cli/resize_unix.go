//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// onResize calls f when the terminal's size changes, until done is closed.
func onResize(done <-chan struct{}, f func()) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		defer signal.Stop(changed)
		for {
			select {
			case <-changed:
				f()
			case <-done:
				return
			}
		}
	}()
}
