package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A system is what the numbers were taken on.
type system struct {
	Kernel   string            `json:"kernel"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Go       string            `json:"go"`
	Commit   string            `json:"commit,omitempty"` // of this repository; "+" where files differ from it
	Versions map[string]string `json:"versions"`         // of the compiler and the rivals; those that are missing are left out
}

// A versioned is a program that prints what version it is, or of what library.
type versioned struct {
	name string
	argv []string
}

// rivalModules are the rivals that are compiled in.
var rivalModules = map[string]string{
	"go.nanomsg.org/mangos/v3":          "mangos",
	"github.com/go-zeromq/zmq4":         "zmq4",
	"github.com/nats-io/nats.go":        "nats.go",
	"github.com/nats-io/nats-server/v2": "nats-server",
	"google.golang.org/grpc":            "gRPC",
	"github.com/containerd/ttrpc":       "ttrpc",
}

// versioned lists the programs that are there.
func (l *lab) versioned() []versioned {
	list := []versioned{
		{"gcc", []string{"gcc", "--version"}},
		{"socat", []string{"socat", "-V"}},
		{"ncat", []string{"ncat", "--version"}},
		{"haproxy", []string{"haproxy", "-v"}},
	}
	for library, program := range cPrograms {
		if path, ok := l.programs["c/"+program]; ok && cLibraries[program].link != "" {
			list = append(list, versioned{library, []string{path, "version"}})
		}
	}
	return list
}

func (l *lab) describeSystem(ctx context.Context) system {
	s := system{
		Kernel: firstLine(readFile("/proc/sys/kernel/ostype")) + " " + firstLine(readFile("/proc/sys/kernel/osrelease")),
		CPU:    cpuName(readFile("/proc/cpuinfo")), Cores: len(l.cores), Go: runtime.Version(), Versions: map[string]string{},
	}
	for _, v := range l.versioned() {
		if out := output(ctx, v.argv...); len(out) > 0 {
			s.Versions[v.name] = versionIn(string(out))
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if name, ok := rivalModules[m.Path]; ok {
				s.Versions[name] = m.Version
			}
		}
	}
	s.Commit = firstLine(output(ctx, "git", "rev-parse", "--short=12", "HEAD"))
	if s.Commit != "" && len(output(ctx, "git", "status", "--porcelain", "--untracked-files=no")) > 0 {
		s.Commit += "+"
	}
	return s
}

func (s system) write(w io.Writer) {
	fmt.Fprintf(w, "%s, %s, %d cores, %s", s.Kernel, s.CPU, s.Cores, s.Go)
	for _, name := range slices.Sorted(maps.Keys(s.Versions)) {
		fmt.Fprintf(w, ", %s %s", name, s.Versions[name])
	}
	if s.Commit != "" {
		fmt.Fprintf(w, ", tincan %s", s.Commit)
	}
	fmt.Fprintln(w)
}

func readFile(path string) []byte {
	text, _ := os.ReadFile(path) // what can't be told is left empty
	return text
}

func output(ctx context.Context, argv ...string) []byte {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput() // ncat tells its version on stderr
	if err != nil {
		return nil
	}
	return out
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimSpace(string(line))
}

// cpuName finds the model in the text of /proc/cpuinfo.
func cpuName(info []byte) string {
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// versionIn finds the first word that looks like a version: a digit, and a point after a digit.
func versionIn(text string) string {
	for _, word := range strings.Fields(text) {
		digit := word[0] >= '0' && word[0] <= '9'
		if digit && strings.Contains(word, ".") {
			return strings.TrimRight(word, ".,;)")
		}
	}
	return firstLine([]byte(text))
}
