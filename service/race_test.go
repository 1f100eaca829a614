//go:build linux && race

package service_test

const raceEnabled = true
