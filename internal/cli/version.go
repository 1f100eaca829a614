package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker where the build is not one of "go install".
var version string

// build is what "tincan version --json" prints.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (p *program) versionCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "The version of this command",
		Long:  "version writes the command's version, the commit it was built from, the Go version and the platform.",
		Args:  arguments(false),
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if asJSON {
				text, err := json.Marshal(b)
				if err != nil {
					return err
				}
				return p.print(string(text) + "\n")
			}
			return p.print(b.String() + "\n")
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write a JSON object")
	return cmd
}

func readBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version = info.Main.Version; version != "" {
		b.Version = version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	text := "tincan " + b.Version
	if b.Revision != "" {
		text += " " + b.Revision
		if b.Modified {
			text += " (modified)"
		}
	}
	return fmt.Sprintf("%s %s %s", text, b.Go, b.Platform)
}
