//go:build !race

package cli

// raceDetector tells that times and memory are not those of the command.
const raceDetector = false
