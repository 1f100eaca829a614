//go:build !unix

package cli

// clientSlots: here no limit on descriptors is known.
func clientSlots(*relaySide) chan struct{} { return nil }
