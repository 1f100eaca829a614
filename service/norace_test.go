//go:build linux && !race

package service_test

const raceEnabled = false
