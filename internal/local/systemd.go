package local

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// passed are the descriptors of LISTEN_FDS, by the names of LISTEN_FDNAMES:
// taken once, and out of the environment, for they are meant for this process alone. See sd_listen_fds(3).
var passed = sync.OnceValue(func() []*os.File { return activation.Files(true) })

// Passed gives the sockets that the service manager passed under e.Name, or
// all where that is empty. Having none is an error.
func (e *End) Passed() ([]Socket, error) {
	var sockets []Socket
	var names []string
	for _, f := range passed() {
		if f == nil {
			continue
		}
		if e.Name != "" && f.Name() != e.Name {
			names = append(names, f.Name())
			continue
		}
		s, err := e.take(f)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	switch {
	case len(sockets) > 0:
		return sockets, nil
	case len(names) == 0:
		return nil, errors.New("the service manager passed no sockets to this process (LISTEN_FDS, LISTEN_PID)")
	}
	return nil, fmt.Errorf("no socket was passed under this name; there are %s", strings.Join(slices.Compact(names), ", "))
}

// Notify tells a service manager that waits for it, at NOTIFY_SOCKET, that the
// process is ready or stopping; elsewhere it does nothing. See sd_notify(3).
func Notify(ready bool) error {
	state := daemon.SdNotifyStopping
	if ready {
		state = daemon.SdNotifyReady
	}
	_, err := daemon.SdNotify(false, state)
	return err
}
