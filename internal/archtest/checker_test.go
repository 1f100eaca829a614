package archtest

import (
	"strings"
	"testing"
)

// TestFaults shows that the check finds what it is for: each graph holds one fault, or none.
func TestFaults(t *testing.T) {
	table := []rule{
		{pkg: "", libs: []string{"golang.org/x/sys"}, light: true},
		{pkg: "frame", light: true},
		{pkg: "service", module: []string{"", "frame"}},
		{pkg: "later", module: []string{""}}, // matches no package
		{pkg: "examples/...", module: []string{"", "service"}},
		{pkg: "internal/cli", module: []string{"", "service"}, libs: []string{"github.com/spf13/cobra"}},
		{pkg: "cmd/tincan", module: []string{"internal/cli"}},
	}
	tests := []struct {
		name    string
		imports map[string][]string // besides sound
		want    []string            // what the one fault names; none when empty
	}{
		{name: "sound"},
		{
			name: "no rule", imports: map[string][]string{module + "/extra": nil},
			want: []string{module + "/extra has no rule", "add a row"},
		},
		{
			name: "against the direction", imports: map[string][]string{module + "/frame": {module}},
			want: []string{module + "/frame imports " + module + ","},
		},
		{
			name: "library not in the row", imports: map[string][]string{module: {"github.com/spf13/cobra"}},
			want: []string{module + " imports github.com/spf13/cobra,"},
		},
		{
			name: "a library's name is no prefix", imports: map[string][]string{module: {"golang.org/x/system"}},
			want: []string{module + " imports golang.org/x/system,"},
		},
		{
			name: "heavy", imports: map[string][]string{module + "/frame": {"net/http"}},
			want: []string{module + "/frame imports net/http, which leads to net/http (net/http)"},
		},
		{
			name:    "heavy by a detour",
			imports: map[string][]string{module: {"net", "golang.org/x/sys/unix"}, "golang.org/x/sys/unix": {"log"}, "log": {"net/http"}},
			want:    []string{module + " imports golang.org/x/sys/unix, which leads to net/http (golang.org/x/sys/unix > log > net/http)"},
		},
		{
			name:    "a foreign module by a detour",
			imports: map[string][]string{module: {"golang.org/x/sys/unix"}, "golang.org/x/sys/unix": {"example.org/x"}},
			want:    []string{module + " imports golang.org/x/sys/unix, which leads to example.org/x"},
		},
		{
			name: "httptrace is light", imports: map[string][]string{module: {"net/http/httptrace"}, "net/http/httptrace": {"net"}},
		},
		{
			name: "cli from elsewhere", imports: map[string][]string{module + "/examples/echo": {module + "/internal/cli"}},
			want: []string{module + "/examples/echo imports " + module + "/internal/cli,"},
		},
		{
			name: "cmd past cli", imports: map[string][]string{module + "/cmd/tincan": {module}},
			want: []string{module + "/cmd/tincan imports " + module + ","},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := graph{}
			for _, imports := range []map[string][]string{{
				"net": nil, "log": {"net"}, "net/http": {"net"}, "net/http/httptrace": {"net"},
				"golang.org/x/sys/unix": {"net"}, "github.com/spf13/cobra": {"net/http"},
				module:                    {"net", "golang.org/x/sys/unix"},
				module + "/service":       {module, module + "/frame", "net/http"},
				module + "/frame":         {"net"},
				module + "/internal/cli":  {module, module + "/service", "github.com/spf13/cobra"},
				module + "/cmd/tincan":    {module + "/internal/cli"},
				module + "/examples/echo": {module + "/service"},
			}, test.imports} {
				for importPath, imported := range imports {
					g[importPath] = pkg{ImportPath: importPath, Standard: !strings.Contains(importPath, "."), Imports: imported}
				}
			}
			faults := g.faults(table)
			if len(test.want) == 0 {
				if len(faults) != 0 {
					t.Fatalf("got %q, want none", faults)
				}
				return
			}
			if len(faults) != 1 {
				t.Fatalf("got %d faults, want 1: %q", len(faults), faults)
			}
			for _, want := range test.want {
				if !strings.Contains(faults[0], want) {
					t.Errorf("got %q, which does not say %q", faults[0], want)
				}
			}
		})
	}
}
