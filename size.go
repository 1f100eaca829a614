package tincan

import (
	"fmt"
	"strconv"
	"strings"
)

// A Size is a number of bytes, written "64KiB", "10MB" or plain.
type Size int64

// sizeUnits are tried in order, so the binary units, which String writes, come first.
var sizeUnits = []struct {
	name string
	n    Size
}{
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"G", 1 << 30},
	{"M", 1 << 20},
	{"K", 1 << 10},
	{"B", 1},
}

// String writes s with the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits[:3] {
		if s != 0 && s%u.n == 0 {
			return strconv.FormatInt(int64(s/u.n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseSize reads a number of bytes: "512", "64KiB", "10MB". The case of a
// unit does not matter; K, M and G alone are binary.
func ParseSize(s string) (Size, error) {
	digits := strings.TrimRight(s, "kKmMgGiIbB")
	unit := Size(1)
	if suffix := s[len(digits):]; suffix != "" {
		unit = 0
		for _, u := range sizeUnits {
			if strings.EqualFold(u.name, suffix) {
				unit = u.n
				break
			}
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || unit == 0 || n < 0 || n > int64((1<<62)/unit) {
		return 0, fmt.Errorf("%q is not a size such as 512, 64KiB or 10MB", s)
	}
	return Size(n) * unit, nil
}
