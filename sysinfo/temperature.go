package sysinfo

import (
	"context"
	"fmt"

	"github.com/shirou/gopsutil/v4/sensors"
)

// readTemperatures reads the sensors. Where one fails the others are still there, with the error.
func readTemperatures(ctx context.Context, v *values) error {
	found, err := sensors.TemperaturesWithContext(ctx)
	for _, s := range found {
		if !nameable(s.SensorKey) {
			continue
		}
		key := "temp." + s.SensorKey
		for n := 2; ; n++ { // two may be called the same
			if _, ok := v.now[key]; !ok {
				break
			}
			key = fmt.Sprintf("temp.%s.%d", s.SensorKey, n)
		}
		v.gauge(key, s.Temperature, 1, 2)
	}
	return err
}
