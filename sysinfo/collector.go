package sysinfo

import (
	"context"
	"maps"
	"time"

	"github.com/tincan-ipc/tincan/state"
)

// DefaultInterval is how often a [Collector] looks whose Interval is zero.
const DefaultInterval = time.Second

// A Collector publishes management information. The zero value is that of the host alone. Its fields must not
// change while it runs; one may run for several tables, at once too.
type Collector struct {
	// Interval is the time from one look to the next. Zero or negative means [DefaultInterval]. A look
	// that takes longer is not followed by two at once.
	Interval time.Duration
	// PIDs are processes to look at. Each is looked at until it ends, when its keys go; another
	// process that gets its number later is not.
	PIDs []int
	// Names are the file names of programs, without their folders and on Windows with .exe: processes that run
	// one of them are looked at too, from when they begin until they end. Of all processes at most [MaxProcesses] are
	// looked at once.
	Names []string
	// Failed is told what could not be found out, such as "temperatures" or "process 17", and why: once, until it can be
	// found out again. The rest goes on. It is called from Run, and may be nil.
	Failed func(what string, err error)
	// Looked is told when a look is done and its values are set. It is called from Run, and may be nil.
	Looked func()
}

// MaxProcesses bounds the processes that a [Collector] looks at.
const MaxProcesses = 256

// Run looks at the host and the processes, and sets the keys of t that have changed, until ctx ends, whose error it gives. The
// first look is at once, and the keys stay when Run ends. It may be called at once for several tables.
func (c *Collector) Run(ctx context.Context, t *state.Table) error {
	interval := c.Interval
	if interval <= 0 {
		interval = DefaultInterval
	}
	r := c.newRun(interval)
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		r.look(ctx, t)
		if c.Looked != nil && ctx.Err() == nil {
			c.Looked()
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A run is one call of Run: what it looks at, and what it has told.
type run struct {
	sources []*source
	failed  func(what string, err error)
	failing map[string]bool // what was told to fail, until it doesn't
}

// A source is a part of the host, or the processes.
type source struct {
	// what it is, in the words of Failed.
	what string
	// rounds is how many looks pass from one at this source to the next.
	rounds, wait int
	// read notes the values. Where it fails those that it has noted count, and the others go.
	read func(ctx context.Context, v *values) error
	told map[string]any
}

// slowly is how often is enough for what changes slowly, or costs much.
const slowly = 5 * time.Second

func (c *Collector) newRun(interval time.Duration) *run {
	r := &run{failed: c.Failed, failing: map[string]bool{}}
	every := func(d time.Duration, what string, read func(context.Context, *values) error) {
		r.sources = append(r.sources, &source{what: what, rounds: max(1, int((d+interval-1)/interval)), read: read})
	}
	every(time.Minute, "host", (&host{}).read)
	every(0, "CPUs", (&cpus{}).read)
	if hasLoad {
		every(0, "load", readLoad)
	}
	every(0, "memory", readMemory)
	every(0, "swap", readSwap)
	every(slowly, "file systems", readFileSystems)
	every(0, "disks", readDisks)
	every(0, "network", readNetwork)
	if hasTCP {
		every(0, "TCP", readTCP)
	}
	every(slowly, "temperatures", readTemperatures)
	if len(c.PIDs)+len(c.Names) > 0 {
		p := &processes{pids: c.PIDs, names: c.Names, outcome: r.outcome, followed: map[int32]*process{}}
		every(0, "processes", p.read)
	}
	return r
}

// look reads the sources whose turn it is, and tells t of them in one step.
func (r *run) look(ctx context.Context, t *state.Table) {
	set := map[string]any{}
	var gone []string
	for _, s := range r.sources {
		if s.wait > 0 {
			s.wait--
			continue
		}
		v := &values{told: s.told, now: make(map[string]any, len(s.told))}
		err := s.read(ctx, v)
		if ctx.Err() != nil {
			return // it failed because of that
		}
		r.outcome(s.what, err)
		s.wait = s.rounds - 1
		for key, value := range v.now {
			if before, ok := s.told[key]; !ok || before != value {
				set[key] = value
			}
		}
		for key := range s.told {
			if _, ok := v.now[key]; !ok {
				gone = append(gone, key)
			}
		}
		s.told = v.now
	}
	err := t.Apply(set, gone...)
	r.outcome("the table", err)
	if err != nil { // it has taken none of them
		_ = t.Apply(nil, gone...) // what takes away has room
		for _, s := range r.sources {
			maps.DeleteFunc(s.told, func(key string, _ any) bool { _, was := set[key]; return was })
		}
	}
}

// outcome tells that what has failed, once, or notes that it has not.
func (r *run) outcome(what string, err error) {
	if err == nil {
		delete(r.failing, what)
		return
	}
	if !r.failing[what] && r.failed != nil {
		r.failed(what, err)
	}
	r.failing[what] = true
}
