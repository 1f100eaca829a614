//go:build !linux

package local

import "os"

// own gives f so that what blocks on it can be interrupted.
func own(f *os.File) file { return wakeable(f) }
