//go:build unix

package cli

import "golang.org/x/sys/unix"

// clientSlots bounds a relay's clients by the descriptors there are for them and what is opened for them, so that
// none is accepted whose other side would find none left. Nil sets no bound.
func clientSlots(to *relaySide) chan struct{} {
	var limit unix.Rlimit // the soft one, which the Go runtime has raised to the hard one
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > mostDescriptors {
		return nil
	}
	have := int(limit.Cur)
	have -= min(have/4, ownDescriptors)
	return make(chan struct{}, max(have/to.descriptorsPerClient(), 1))
}

const (
	// mostDescriptors are more than will ever be asked for.
	mostDescriptors = 1 << 24
	// ownDescriptors are those of the relay itself: standard streams, pollers, listeners, and the pipes of bulk.
	ownDescriptors = 160
)

// descriptorsPerClient counts those of one client, its own included.
func (s *relaySide) descriptorsPerClient() int {
	if s.program != nil {
		return 4 // a pipe each way, and the process
	}
	return 2
}
