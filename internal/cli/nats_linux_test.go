package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tincan-ipc/tincan/internal/natstest"
)

// TestNATSPage runs the shell lines of the page on NATS against a server, and has nats-server read its configuration.
func TestNATSPage(t *testing.T) {
	const page = "../../docs/nats.md"
	_, port, _ := strings.Cut(natstest.Start(t, 1, "")[0].Address(), ":")
	scripts := 0
	for _, script := range codeBlocks(t, page, "sh") {
		if want := printed(script); want != "" {
			scripts++
			runScript(t, strings.ReplaceAll(script, "127.0.0.1:4222", "localhost:"+port), want)
		}
	}
	if scripts < 5 {
		t.Errorf("%d scripts say what they print", scripts)
	}
	for _, text := range codeBlocks(t, page, "conf") {
		file := filepath.Join(t.TempDir(), "nats.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := natstest.CheckConfig(file); err != nil {
			t.Error(err)
		}
	}
}
