package sysinfo

import (
	"context"
	"runtime"

	gonet "github.com/shirou/gopsutil/v4/net"
)

const kib = 1 << 10

func readNetwork(ctx context.Context, v *values) error {
	interfaces, err := gonet.IOCountersWithContext(ctx, true)
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if !nameable(i.Name) {
			continue
		}
		key := "net." + i.Name
		v.counter(key+".received", i.BytesRecv, kib)
		v.counter(key+".sent", i.BytesSent, kib)
		v.set(key+".errors", i.Errin+i.Errout)
		v.set(key+".dropped", i.Dropin+i.Dropout)
	}
	return nil
}

// hasTCP is set where the counters of RFC 1213's tcp group are known.
const hasTCP = runtime.GOOS == "linux"

func readTCP(ctx context.Context, v *values) error {
	groups, err := gonet.ProtoCountersWithContext(ctx, []string{"tcp"})
	if err != nil {
		return err
	}
	for _, g := range groups {
		for key, name := range map[string]string{"tcp.established": "CurrEstab", "tcp.opened": "ActiveOpens", "tcp.accepted": "PassiveOpens"} {
			if n, ok := g.Stats[name]; ok {
				v.set(key, n)
			}
		}
	}
	return nil
}
