package tincan

// peerPID: FreeBSD has the number in struct xucred since 13.0, but not before,
// and nothing in the answer tells which it is.
func peerPID(int) (int, error) { return 0, nil }
