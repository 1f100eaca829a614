// Package archtest holds the project to its architecture: which package may import which, and how long a file may be.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tincan-ipc/tincan"

// A pkg is what go list tells of a package; Imports are those of its files that are not tests.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	ImportMap  map[string]string
}

// A graph is packages by import path.
type graph map[string]pkg

// TestImports asserts the direction of imports, for each system that has files of its own.
func TestImports(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin", "freebsd"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			g := load(t, goos)
			if _, ok := g[module]; !ok {
				t.Fatalf("go list does not know %s", module)
			}
			for _, fault := range g.faults(rules) {
				t.Error(fault)
			}
		})
	}
}

// load asks go list for the module's packages and all that they import.
func load(t *testing.T, goos string) graph {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Imports,ImportMap", module+"/...")
	cmd.Dir = moduleDir(t)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	g := graph{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return g
		} else if err != nil {
			t.Fatal(err)
		}
		for i, imported := range p.Imports { // The standard library's own vendored packages go by another path.
			if mapped, ok := p.ImportMap[imported]; ok {
				p.Imports[i] = mapped
			}
		}
		g[p.ImportPath] = p
	}
}

// faults checks each package of the module against its row and returns what is wrong, a line each, in order.
func (g graph) faults(rules []rule) []string {
	var faults []string
	for importPath, p := range g {
		name, ok := local(importPath)
		if !ok {
			continue
		}
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pkg, name) })
		if i < 0 {
			faults = append(faults, fmt.Sprintf("%s has no rule: add a row to rules_test.go", importPath))
			continue
		}
		r := rules[i]
		for _, imported := range p.Imports {
			if !g.allows(r, imported) {
				faults = append(faults, fmt.Sprintf("%s imports %s, which its row does not allow", importPath, imported))
			} else if chain := g.heavyChain(r, imported, map[string]bool{}); chain != nil {
				faults = append(faults, fmt.Sprintf("%s imports %s, which leads to %s (%s)",
					importPath, imported, chain[len(chain)-1], strings.Join(chain, " > ")))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// allows tells whether r lets a package import this one directly.
func (g graph) allows(r rule, imported string) bool {
	if name, ok := local(imported); ok {
		return slices.ContainsFunc(r.module, func(m string) bool { return matches(m, name) })
	}
	return g[imported].Standard || inLibs(r, imported)
}

// heavyChain returns how from leads to a package that a light row keeps out, or nil where it does not or r is not light.
func (g graph) heavyChain(r rule, from string, seen map[string]bool) []string {
	if !r.light || seen[from] {
		return nil
	}
	seen[from] = true
	_, ours := local(from)
	if slices.Contains(heavy, from) || !ours && !g[from].Standard && !inLibs(r, from) {
		return []string{from}
	}
	for _, next := range g[from].Imports {
		if chain := g.heavyChain(r, next, seen); chain != nil {
			return append([]string{from}, chain...)
		}
	}
	return nil
}

func inLibs(r rule, importPath string) bool {
	return slices.ContainsFunc(r.libs, func(lib string) bool { return below(lib, importPath) })
}

// local returns a package's path under the module, and whether it is of the module at all.
func local(importPath string) (string, bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// matches tells whether name is the package that pattern names, or one of the tree that it names with "/...".
func matches(pattern, name string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return below(tree, name)
	}
	return pattern == name
}

// below tells whether name is parent or under it.
func below(parent, name string) bool {
	return name == parent || strings.HasPrefix(name, parent+"/")
}

// TestNames keeps out package names that say nothing.
func TestNames(t *testing.T) {
	for importPath := range load(t, "linux") {
		if _, ours := local(importPath); ours && slices.Contains(vague, path.Base(importPath)) {
			t.Errorf("%s: the name says nothing of what the package is for", importPath)
		}
	}
}
