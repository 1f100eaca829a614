package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The programs in C, compiled by each call, so that nothing stale is measured.
//
//go:embed c
var cSources embed.FS

// cLibraries are what programs in C need beside the C library, by the program's name.
var cLibraries = map[string]struct{ header, link, pkg string }{
	"zeromq": {"zmq.h", "-lzmq", "libzmq3-dev"},
	"nng":    {"nng/nng.h", "-lnng", "libnng-dev"},
}

// A lab holds what contenders run with: programs, addresses, cores.
type lab struct {
	dir      string // for sockets and what was built
	programs map[string]string
	missing  map[string]string // why a program isn't there
	cores    []int             // that this process may use
	profiles string            // where parties in Go write profiles; empty for none
	serial   int               // of the last address
}

// newLab builds and looks up the programs. close removes what it made.
func newLab(ctx context.Context, cores []int, profiles string) (*lab, error) {
	dir, err := os.MkdirTemp("", "tincan-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, programs: map[string]string{}, missing: map[string]string{}, cores: cores, profiles: profiles}
	self, err := os.Executable()
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	l.programs[goProgram] = self
	l.note(tincanProgram, filepath.Join(dir, "tincan"), l.buildCommand(ctx))
	for _, name := range []string{"socat", "ncat", "haproxy"} {
		path, err := exec.LookPath(name)
		l.note(name, path, err)
	}
	if err := l.compileAll(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *lab) close() error { return os.RemoveAll(l.dir) }

// note keeps where the program is, or why it is nowhere.
func (l *lab) note(name, path string, err error) {
	if err != nil {
		l.missing[name] = fmt.Sprintf("%s (%v)", name, err)
		return
	}
	l.programs[name] = path
}

// lacks names the first program of these that isn't there, with the reason; empty where all are.
func (l *lab) lacks(commands ...command) string {
	for _, c := range commands {
		if _, ok := l.programs[c.program]; ok {
			continue
		}
		if why, ok := l.missing[c.program]; ok {
			return why
		}
		return c.program
	}
	return ""
}

// compileAll builds the programs in C. Without a compiler or their library they are missing;
// with them, a program that doesn't compile is an error.
func (l *lab) compileAll(ctx context.Context) error {
	entries, err := cSources.ReadDir("c")
	if err != nil {
		return err
	}
	src := filepath.Join(l.dir, "c")
	if err := os.CopyFS(l.dir, cSources); err != nil {
		return err
	}
	gcc, noGCC := exec.LookPath("gcc")
	for _, e := range entries {
		name, isProgram := strings.CutSuffix(e.Name(), ".c")
		if !isProgram {
			continue
		}
		bin := filepath.Join(src, name)
		lacking := noGCC
		args := []string{"-O2", "-o", bin, bin + ".c"}
		if library, ok := cLibraries[name]; ok && noGCC == nil {
			args = append(args, library.link)
			lacking = hasHeader(ctx, gcc, library.header, library.pkg)
		}
		l.note("c/"+name, bin, lacking)
		if lacking != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, gcc, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("compiling %s: %w\n%s", e.Name(), err, out)
		}
	}
	return nil
}

// hasHeader gives an error that names pkg, Debian's package, where the compiler doesn't find a header of it.
func hasHeader(ctx context.Context, gcc, header, pkg string) error {
	c := exec.CommandContext(ctx, gcc, "-E", "-")
	c.Stdin = strings.NewReader("#include <" + header + ">\n")
	if c.Run() != nil {
		return fmt.Errorf("no %s: Debian's package %s", header, pkg)
	}
	return nil
}

// buildCommand builds the command tincan as it is released.
func (l *lab) buildCommand(ctx context.Context) error {
	const module = "github.com/tincan-ipc/tincan"
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("go list -m %s: %w", module, err)
	}
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(l.dir, "tincan"), "./cmd/tincan")
	c.Dir = strings.TrimSpace(string(root))
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./cmd/tincan: %w: %s", err, firstLine(out))
	}
	return nil
}

// coresOf gives the cores that the server and the client are held to.
func (l *lab) coresOf(p placement) (server, client int) {
	server, client = l.cores[len(l.cores)-1], l.cores[0]
	if p == same {
		client = server
	}
	return server, client
}
