package sysinfo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	goprocess "github.com/shirou/gopsutil/v4/process"
)

// processes are those that were chosen.
type processes struct {
	pids  []int
	names []string
	// outcome tells of one process what can't be found out.
	outcome func(what string, err error)

	followed map[int32]*process
	begun    bool          // the pids have been looked for
	passed   map[int32]int // those that weren't chosen so far, and the round in which each was found
	round    int
}

// errTooMany is why a process is left out.
var errTooMany = errors.New("too many are looked at")

func (p *processes) read(ctx context.Context, v *values) error {
	if !p.begun {
		p.begun = true
		for _, pid := range p.pids {
			what := fmt.Sprintf("process %d", pid)
			if pid < 1 || int64(int32(pid)) != int64(pid) {
				p.outcome(what, goprocess.ErrorProcessNotRunning)
				continue
			}
			p.outcome(what, p.follow(ctx, int32(pid)))
		}
	}
	var err error
	if len(p.names) > 0 {
		err = p.find(ctx)
	}
	for _, pid := range slices.Sorted(maps.Keys(p.followed)) {
		followed := p.followed[pid]
		if ended, err := followed.read(ctx, v); ended {
			delete(p.followed, pid)
			p.outcome(followed.what(), nil) // or each that fails would be remembered for ever
		} else {
			p.outcome(followed.what(), err)
		}
	}
	return err
}

// follow begins to look at a process.
func (p *processes) follow(ctx context.Context, pid int32) error {
	if p.followed[pid] != nil {
		return nil
	}
	if len(p.followed) >= MaxProcesses {
		return fmt.Errorf("%w: %d", errTooMany, MaxProcesses)
	}
	g, err := goprocess.NewProcessWithContext(ctx, pid)
	if err != nil {
		return err
	}
	created, err := g.CreateTimeWithContext(ctx)
	if err != nil {
		return err
	}
	p.followed[pid] = &process{pid: pid, created: created}
	return nil
}

// A program that begins is at first the one that began it: names of new processes are read in each round,
// those of others in every so many.
const (
	newRounds  = 5
	nameRounds = 10
)

// find follows the processes that have one of the names.
func (p *processes) find(ctx context.Context) error {
	pids, err := goprocess.PidsWithContext(ctx)
	if err != nil {
		return err
	}
	p.round++
	passed := make(map[int32]int, len(pids))
	for _, pid := range pids {
		if p.followed[pid] != nil {
			continue
		}
		found, known := p.passed[pid]
		if !known {
			found = p.round
		}
		passed[pid] = found
		if p.round-found >= newRounds && (p.round+int(pid))%nameRounds != 0 {
			continue
		}
		name, nameErr := (&goprocess.Process{Pid: pid}).NameWithContext(ctx)
		if nameErr != nil || !slices.Contains(p.names, name) {
			continue // it may have ended
		}
		if followErr := p.follow(ctx, pid); errors.Is(followErr, errTooMany) {
			err = followErr
		}
	}
	p.passed = passed
	return err
}
