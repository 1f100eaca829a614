package sysinfo

import (
	"context"
	"strings"

	goprocess "github.com/shirou/gopsutil/v4/process"
)

// countDescriptors tells files and sockets apart by what proc_pid_fd(5) links to.
func countDescriptors(ctx context.Context, g *goprocess.Process) (descriptors, error) {
	open, err := g.OpenFilesWithContext(ctx)
	if err != nil {
		return descriptors{all: -1, files: -1, sockets: -1}, err
	}
	d := descriptors{all: len(open)}
	for _, f := range open {
		switch {
		case strings.HasPrefix(f.Path, "/"):
			d.files++
		case strings.HasPrefix(f.Path, "socket:"):
			d.sockets++
		}
	}
	return d, nil
}
