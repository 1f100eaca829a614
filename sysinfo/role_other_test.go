//go:build !linux

package sysinfo

const roleVariable = "SYSINFO_TEST_ROLE"

// play is for the tests of Linux.
func play(string) bool { return false }
