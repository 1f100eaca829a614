package sysinfo

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"time"

	gohost "github.com/shirou/gopsutil/v4/host"
)

// A host knows what doesn't change while it runs.
type host struct{ platform, kernel, arch, boot string }

func (h *host) read(ctx context.Context, v *values) error {
	name, nameErr := os.Hostname()
	if nameErr == nil {
		v.set("host.name", name)
	}
	v.set("host.os", runtime.GOOS)
	lasting := h.readLasting(ctx)
	for key, value := range map[string]string{
		"host.platform": h.platform, "host.kernel": h.kernel, "host.arch": h.arch, "host.boot": h.boot,
	} {
		if value != "" {
			v.set(key, value)
		}
	}
	up, upErr := gohost.UptimeWithContext(ctx)
	if upErr == nil {
		v.set("host.uptime", up-up%60)
	}
	return errors.Join(nameErr, lasting, upErr)
}

// readLasting reads what isn't known yet.
func (h *host) readLasting(ctx context.Context) error {
	var errs []error
	read := func(field *string, get func() (string, error)) {
		if *field != "" {
			return
		}
		value, err := get()
		*field = strings.TrimSpace(value)
		errs = append(errs, err)
	}
	read(&h.platform, func() (string, error) {
		platform, _, version, err := gohost.PlatformInformationWithContext(ctx)
		return platform + " " + version, err
	})
	read(&h.kernel, func() (string, error) { return gohost.KernelVersionWithContext(ctx) })
	read(&h.arch, gohost.KernelArch)
	read(&h.boot, func() (string, error) {
		at, err := gohost.BootTimeWithContext(ctx)
		if err != nil {
			return "", err
		}
		return seconds(int64(at)), nil
	})
	return errors.Join(errs...)
}

// seconds writes a time, in seconds since the Unix epoch, as RFC 3339 has it.
func seconds(at int64) string { return time.Unix(at, 0).UTC().Format(time.RFC3339) }
