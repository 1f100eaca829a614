package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tincan-ipc/tincan/state"
)

const statesPage = "../../docs/states.md"

// TestStatesPage runs what docs/states.md shows: its shell lines that say what they print, its consumers in other
// languages, and, as it is that of an example which has tests, its Go.
func TestStatesPage(t *testing.T) {
	t.Parallel()
	t.Run("sh", func(t *testing.T) {
		scripts := codeBlocks(t, statesPage, "sh")
		for _, script := range scripts {
			want := printed(script)
			if want == "" {
				t.Errorf("no line says what it prints: %s", script)
			}
			runScript(t, script, want)
		}
		if len(scripts) < 2 {
			t.Errorf("%d scripts", len(scripts))
		}
	})
	t.Run("go", func(t *testing.T) {
		example, err := os.ReadFile("../../examples/state-change/client/main.go")
		if err != nil {
			t.Fatal(err)
		}
		blocks := codeBlocks(t, statesPage, "go")
		for _, block := range blocks {
			if !strings.Contains(string(example), block) {
				t.Errorf("the example hasn't\n%s", block)
			}
		}
		if len(blocks) != 1 {
			t.Errorf("%d blocks", len(blocks))
		}
	})
	for language, command := range map[string][]string{
		"python": {"python3", "program"}, "js": {"node", "program"}, "c": {"./compiled"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			blocks := codeBlocks(t, statesPage, language)
			if len(blocks) != 1 {
				t.Fatalf("%d blocks", len(blocks))
			}
			checkConsumer(t, language, blocks[0], command)
		})
	}
}

// checkConsumer runs a consumer of the page, which must print a state as it changes.
func checkConsumer(t *testing.T, language, source string, command []string) {
	t.Helper()
	table := &state.Table{}
	set(t, table, "door", "open")
	url, _ := published(t, table, "tcp://127.0.0.1:0")
	port := url[strings.LastIndexByte(url, ':')+1:]
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte(strings.Replace(source, "7000", port, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if language == "c" {
		gcc := exec.Command("gcc", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-x", "c", "-o", filepath.Join(dir, "compiled"), program)
		if out, err := gcc.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		command = []string{filepath.Join(dir, "compiled")}
	} else if _, err := exec.LookPath(command[0]); err != nil {
		missing(t, err)
	}
	shown, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, shown, shown
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	await(t, shown.Name(), regexp.MustCompile(`open`))
	set(t, table, "door", "closed")
	await(t, shown.Name(), regexp.MustCompile(`closed`))
	table.Delete("door")
	await(t, shown.Name(), regexp.MustCompile(`closed(?s).*(\{\}|"deleted":true)`))
}
