package sysinfo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	godisk "github.com/shirou/gopsutil/v4/disk"
)

// readFileSystems reads those on disks of this host: what another host serves may not answer.
func readFileSystems(ctx context.Context, v *values) error {
	mounts, err := godisk.PartitionsWithContext(ctx, false)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range firstMounts(mounts) {
		usage, err := godisk.UsageWithContext(ctx, m.Mountpoint)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.Mountpoint, err))
			continue
		}
		key := "disk." + m.Mountpoint
		v.set(key+".total", usage.Total)
		v.gauge(key+".used", float64(usage.Used), mib, mib)
		v.gauge(key+".free", float64(usage.Free), mib, mib)
	}
	return errors.Join(errs...)
}

// firstMounts gives of each device the mount with the shortest path: the others are parts of it, or the same again.
func firstMounts(mounts []godisk.PartitionStat) []godisk.PartitionStat {
	mounts = slices.DeleteFunc(slices.Clone(mounts), func(m godisk.PartitionStat) bool { return !nameable(m.Mountpoint) })
	isRoot := func(m godisk.PartitionStat) bool { return m.Mountpoint == "/" }
	if runtime.GOOS != "windows" && !slices.ContainsFunc(mounts, isRoot) { // a container's is on no device of its own
		mounts = append(mounts, godisk.PartitionStat{Device: "/", Mountpoint: "/"})
	}
	slices.SortStableFunc(mounts, func(a, b godisk.PartitionStat) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(len(a.Mountpoint), len(b.Mountpoint)))
	})
	return slices.CompactFunc(mounts, func(a, b godisk.PartitionStat) bool { return a.Device == b.Device })
}

// readDisks reads what has passed to and from the devices, those aside that were never used.
func readDisks(ctx context.Context, v *values) error {
	devices, err := godisk.IOCountersWithContext(ctx)
	if err != nil {
		return err
	}
	for name, d := range devices {
		if d.ReadCount+d.WriteCount > 0 && nameable(name) {
			v.set("io."+name+".read", d.ReadBytes)
			v.set("io."+name+".written", d.WriteBytes)
		}
	}
	return nil
}
