package sysinfo

import (
	"context"

	"github.com/shirou/gopsutil/v4/mem"
)

const mib = 1 << 20

func readMemory(ctx context.Context, v *values) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	v.set("mem.total", m.Total)
	v.bytes("mem.used", m.Used, m.Total)
	v.bytes("mem.available", m.Available, m.Total)
	return nil
}

func readSwap(ctx context.Context, v *values) error {
	m, err := mem.SwapMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	v.set("swap.total", m.Total)
	v.bytes("swap.used", m.Used, m.Total)
	return nil
}

// bytes notes n of total bytes, in MiB, where they have moved by a thousandth of the total.
func (v *values) bytes(key string, n, total uint64) {
	v.gauge(key, float64(n), mib, max(mib, float64(total)/1000))
}
