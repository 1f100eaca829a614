//go:build unix && !linux

package tincan

// nameSocket: only on Linux does a name help.
func nameSocket(int) error { return nil }
