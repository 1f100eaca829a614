package sysinfo

import (
	"context"
	"runtime"
	"strings"

	gocpu "github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/load"
)

// percentApart is by how much a percentage moves before it is told again: those of a host with nothing to do waver by one.
const percentApart = 2

// cpus knows the times of each CPU at the last look.
type cpus struct{ before []busyTime }

// A busyTime is how many seconds a CPU has been busy, of how many.
type busyTime struct{ busy, total float64 }

func (c *cpus) read(ctx context.Context, v *values) error {
	times, err := gocpu.TimesWithContext(ctx, true)
	if err != nil {
		return err
	}
	now := make([]busyTime, len(times))
	for i, t := range times {
		// What a guest takes is in User, as proc_stat(5) has it.
		now[i].total = t.User + t.System + t.Idle + t.Nice + t.Iowait + t.Irq + t.Softirq + t.Steal
		now[i].busy = now[i].total - t.Idle - t.Iowait
	}
	before := c.before
	c.before = now
	if len(before) != len(now) { // the first look, or a CPU was added
		return nil
	}
	var all busyTime
	for i := range now {
		spent := busyTime{now[i].busy - before[i].busy, now[i].total - before[i].total}
		spent.gauge(v, "cpu."+strings.TrimPrefix(times[i].CPU, "cpu")+".percent")
		all.busy += spent.busy
		all.total += spent.total
	}
	all.gauge(v, "cpu.percent")
	return nil
}

// gauge notes the share that was busy. Where no time has passed between two looks, the last one holds.
func (t busyTime) gauge(v *values, key string) {
	if t.total <= 0 {
		v.keepAll(key)
		return
	}
	v.gauge(key, min(max(100*t.busy/t.total, 0), 100), 1, percentApart)
}

// hasLoad is set where the system knows its load. What gopsutil makes up elsewhere takes a goroutine that never ends.
const hasLoad = runtime.GOOS != "windows"

func readLoad(ctx context.Context, v *values) error {
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return err
	}
	for key, x := range map[string]float64{"cpu.load1": avg.Load1, "cpu.load5": avg.Load5, "cpu.load15": avg.Load15} {
		v.gauge(key, x, 0.01, 0.05)
	}
	return nil
}
