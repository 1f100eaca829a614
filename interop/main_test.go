//go:build linux

package interop

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// buildDir holds everything that the tests build, in a folder a language.
var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tincan-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// debian names the package of each tool that the tests run. An absent tool fails a
// test: one that was skipped would pass for proof.
var debian = map[string]string{
	"gcc":     "gcc and libc6-dev",
	"javac":   "openjdk-17-jdk-headless",
	"java":    "openjdk-17-jdk-headless",
	"python3": "python3",
	"socat":   "socat",
	"ncat":    "ncat",
	"curl":    "curl",
	"openssl": "openssl",
	"node":    "nodejs",
	"npm":     "npm",

	"chromium": "chromium",
}

// tool returns the path of a tool.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: on Debian it comes with %s", err, debian[name])
	}
	return path
}

// build runs a compiler in dir.
func build(dir string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// buildTincan builds the command, unless TINCAN names one that is built.
var buildTincan = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("TINCAN"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(buildDir, "tincan")
	return path, build("..", "go", "build", "-o", path, "./cmd/tincan")
})

// tincan returns the path of the command under test.
func tincan(t *testing.T) string {
	t.Helper()
	path, err := buildTincan()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buildC builds every C program: the files of the folder that have a main.
var buildC = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "c")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	sources, err := filepath.Glob("c/*_*.c")
	if err != nil {
		return "", err
	}
	for _, source := range sources {
		program := filepath.Join(dir, strings.TrimSuffix(filepath.Base(source), ".c"))
		err := build(".", "gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-pthread",
			"-o", program, source, "c/endpoint.c")
		if err != nil {
			return "", err
		}
	}
	return dir, nil
})

// builtC returns the folder of the C programs.
func builtC(t *testing.T) string {
	t.Helper()
	tool(t, "gcc")
	dir, err := buildC()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// buildJava compiles every Java program.
var buildJava = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "java")
	sources, err := filepath.Glob("java/*.java")
	if err != nil {
		return "", err
	}
	argv := []string{"javac", "--release", "17", "-Xlint:all", "-Werror", "-d", dir}
	return dir, build(".", append(argv, sources...)...)
})

// builtJava returns the class path of the Java programs.
func builtJava(t *testing.T) string {
	t.Helper()
	tool(t, "javac")
	dir, err := buildJava()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
