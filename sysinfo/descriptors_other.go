//go:build !linux

package sysinfo

import (
	"context"
	"errors"

	goprocess "github.com/shirou/gopsutil/v4/process"
)

// lookRest is for systems where another program has to be asked for a process's connections.
const lookRest = 9

// countDescriptors counts descriptors and Internet sockets: what files are open is not told.
func countDescriptors(ctx context.Context, g *goprocess.Process) (descriptors, error) {
	d := descriptors{all: -1, files: -1, sockets: -1, rest: lookRest}
	n, err := g.NumFDsWithContext(ctx)
	if err == nil {
		d.all = int(n)
	}
	connections, connectionsErr := g.ConnectionsWithContext(ctx)
	if connectionsErr == nil {
		d.sockets = len(connections)
	}
	return d, errors.Join(err, connectionsErr)
}
