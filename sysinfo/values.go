package sysinfo

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// values are the keys of one source: those that it told before, and those of this look.
type values struct{ told, now map[string]any }

// set notes a value as it is.
func (v *values) set(key string, value any) { v.now[key] = value }

// gauge notes x in whole units, unless what was told is less than apart away: then it stays.
func (v *values) gauge(key string, x, unit, apart float64) {
	if before, ok := v.told[key].(float64); ok && math.Abs(x-before) < apart {
		v.now[key] = before
		return
	}
	if unit < 1 { // by which to divide would leave a rest in the last digits
		parts := math.Round(1 / unit)
		v.now[key] = math.Round(x*parts) / parts
		return
	}
	v.now[key] = math.Round(x/unit) * unit
}

// counter notes n, unless what was told is fewer than apart before.
func (v *values) counter(key string, n, apart uint64) {
	if before, ok := v.told[key].(uint64); ok && n >= before && n-before < apart {
		n = before
	}
	v.now[key] = n
}

// keepAll notes what was told before under a prefix.
func (v *values) keepAll(prefix string) {
	for key, value := range v.told {
		if strings.HasPrefix(key, prefix) {
			v.now[key] = value
		}
	}
}

// maxName bounds what a name of the system, such as a path, may bring into a key.
const maxName = 255

// nameable reports whether a key can have such a name in it.
func nameable(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}
