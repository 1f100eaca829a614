//go:build !race

package zmtp

const raceDetector = false
