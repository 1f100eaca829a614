package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSizes bounds the Go files of every module of the repository, the command's main.go and each program under examples/.
func TestSizes(t *testing.T) {
	root := os.DirFS(moduleDir(t))
	programs := map[string]int{}
	for name := range longFiles {
		if _, err := fs.Stat(root, name); err != nil {
			t.Errorf("longFiles: %v", err)
		}
	}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && name != "." || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		lines := bytes.Count(content, []byte("\n"))
		if lines > maxLines && longFiles[name] == "" {
			t.Errorf("%s has %d lines, over %d: split it, or give longFiles its reason", name, lines, maxLines)
		}
		if name == "cmd/tincan/main.go" && lines >= mainLines {
			t.Errorf("%s has %d lines, want under %d: what it does belongs in internal/cli", name, lines, mainLines)
		}
		if strings.HasPrefix(name, "examples/") && !strings.HasSuffix(name, "_test.go") {
			programs[filepath.Dir(name)] += lines
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, lines := range programs {
		if lines > exampleLines {
			t.Errorf("%s has %d lines, over %d: the library should do more of it", dir, lines, exampleLines)
		}
	}
}

// moduleDir returns the folder of the module's go.mod.
func moduleDir(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	gomod := strings.TrimSpace(string(out))
	if filepath.Base(gomod) != "go.mod" {
		t.Fatalf("not in a module: go env GOMOD is %q", gomod)
	}
	return filepath.Dir(gomod)
}
