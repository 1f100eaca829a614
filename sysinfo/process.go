package sysinfo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	goprocess "github.com/shirou/gopsutil/v4/process"
)

// A process is one that is looked at.
type process struct {
	pid     int32
	created int64 // when, in milliseconds since the Unix epoch
	// cpu is how many seconds it had used at the last look, which was at.
	cpu float64
	at  time.Time
	// wait is how many looks pass before its descriptors are counted again.
	wait int
}

func (p *process) what() string { return fmt.Sprintf("process %d", p.pid) }

// sameStart is how far apart two readings of when one process began may be: they hang on the clock, which may be set.
const sameStart = 2000 // milliseconds

// read notes the values of the process, or finds that it has ended.
func (p *process) read(ctx context.Context, v *values) (ended bool, _ error) {
	g, err := goprocess.NewProcessWithContext(ctx, p.pid)
	if err != nil {
		return true, nil
	}
	created, err := g.CreateTimeWithContext(ctx)
	if err != nil || created-p.created > sameStart || p.created-created > sameStart {
		return true, nil
	}
	status, err := g.StatusWithContext(ctx)
	if err == nil && slices.Contains(status, goprocess.Zombie) {
		return true, nil
	}
	key := fmt.Sprintf("proc.%d", p.pid)
	name, nameErr := g.NameWithContext(ctx)
	if nameErr == nil && nameable(name) {
		v.set(key+".name", name)
	}
	v.set(key+".started", seconds(p.created/1000))
	cpuErr := p.readCPU(ctx, g, v, key+".cpu")
	memory, memoryErr := g.MemoryInfoWithContext(ctx)
	if memoryErr == nil {
		v.gauge(key+".memory", float64(memory.RSS), 1, 256*kib)
	}
	threads, threadsErr := g.NumThreadsWithContext(ctx)
	if threadsErr == nil {
		v.set(key+".threads", uint64(threads))
	}
	descriptorsErr := p.readDescriptors(ctx, g, v, key)
	err = errors.Join(nameErr, cpuErr, memoryErr, threadsErr, descriptorsErr)
	if errors.Is(err, fs.ErrNotExist) { // it ended meanwhile, which the next look will find
		err = nil
	}
	return false, err
}

func (p *process) readCPU(ctx context.Context, g *goprocess.Process, v *values, key string) error {
	times, err := g.TimesWithContext(ctx)
	if err != nil {
		return err
	}
	before, since := p.cpu, p.at
	p.cpu, p.at = times.User+times.System, time.Now()
	if passed := p.at.Sub(since).Seconds(); !since.IsZero() && passed > 0 {
		v.gauge(key, max(100*(p.cpu-before)/passed, 0), 1, percentApart)
	}
	return nil
}

// descriptorsAtOnce is how many are looked at in a round for which a process is looked at in full: of one with ten
// times as many they are counted in each tenth.
const descriptorsAtOnce = 1024

func (p *process) readDescriptors(ctx context.Context, g *goprocess.Process, v *values, key string) error {
	names := []string{key + ".descriptors", key + ".files", key + ".sockets"}
	if p.wait > 0 {
		p.wait--
		for _, name := range names {
			v.keepAll(name)
		}
		return nil
	}
	d, err := countDescriptors(ctx, g)
	for i, n := range []int{d.all, d.files, d.sockets} {
		if n >= 0 {
			v.set(names[i], uint64(n))
		}
	}
	p.wait = max(d.all/descriptorsAtOnce, d.rest)
	return err
}

// descriptors are what a process has open. What isn't known is below 0.
type descriptors struct {
	all, files, sockets int
	rest                int // looks that should pass before the next, for what it costs
}
