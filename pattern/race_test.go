//go:build race

package pattern_test

// raceEnabled tells that the race detector is at work.
const raceEnabled = true
