//go:build race

package zmtp

// raceDetector: with it a sync.Pool loses things on purpose.
const raceDetector = true
