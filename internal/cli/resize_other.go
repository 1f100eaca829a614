//go:build !unix

package cli

// onResize does nothing: no signal tells of it here.
func onResize(<-chan struct{}, func()) {}
