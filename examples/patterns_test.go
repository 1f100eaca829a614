package examples_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The tests in interop hold these programs against their peers in other languages.

func TestRequestReply(t *testing.T) {
	url, stop := start(t, "request-reply/server", "tcp://127.0.0.1:0")
	expect(t, 0, "Result: 6\n", "", "request-reply/client", url, "1", "2", "3")
	expect(t, 0, "Result: -1\n", "", "request-reply/client", url, "9223372036854775807", "-9223372036854775808")
	expect(t, 1, "", "invalid syntax", "request-reply/client", url, "1", "two")
	expect(t, 1, "", "too large", "request-reply/client", url, "9223372036854775807", "1")
	expect(t, 1, "", "too large", "request-reply/client", url, "-9223372036854775808", "-1")
	stop()
}

func TestWorkers(t *testing.T) {
	back := "unix:" + filepath.Join(t.TempDir(), "back")
	front, stopQueue := start(t, "workers/queue", "tcp://127.0.0.1:0", back)
	worker := exec.CommandContext(t.Context(), program("workers/worker"), back)
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	defer worker.Wait() //nolint:errcheck // it is killed with the test's context
	client := exec.CommandContext(t.Context(), program("workers/client"), front)
	client.Stdin = strings.NewReader("one\ntwo\n")
	out, err := client.Output()
	if err != nil || string(out) != "ONE\nTWO\n" {
		t.Errorf("the client printed %q, %v", out, err)
	}
	if err := worker.Process.Kill(); err != nil {
		t.Error(err)
	}
	stopQueue()
}

func TestPatternUsage(t *testing.T) {
	for _, name := range []string{
		"notifications/publisher", "notifications/subscriber", "pipeline/producer", "pipeline/consumer",
		"workers/client", "workers/queue", "workers/worker", "request-reply/client", "request-reply/server",
	} {
		expect(t, 2, "", "usage", name)
		words := []string{"nowhere"}
		if name == "workers/queue" || name == "request-reply/client" {
			words = append(words, "1")
		}
		expect(t, 1, "", "has no scheme", name, words...)
	}
}
