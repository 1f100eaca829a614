package service

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/tincan-ipc/tincan"
)

// sumService adds the 32-bit big-endian integers of a message.
var sumService = Service{
	Name:      "sum",
	Summary:   "adds the 32-bit integers of a message",
	Endpoints: []string{"udp://[::1]:10001"},
	Message: func(o tincan.Options) (MessageHandler, error) {
		switch o.Format {
		case "":
			return sumBinary, nil
		case "string":
			return sumString, nil
		}
		return nil, fmt.Errorf("option format: sum knows %q alone, not %q", "string", o.Format)
	},
	Try: func(e *tincan.Endpoint) string {
		flags := "--hex"
		if e.Options.Format == "string" {
			flags = ""
		}
		return tryConnect(`printf '\0\0\0\2\0\0\0\3'`, flags)(e)
	},
}

// sumBinary answers in 4 bytes. A sum that doesn't fit, like a message that
// is not whole integers, gets no answer: the protocol has none that would be true.
func sumBinary(_ context.Context, request []byte) ([]byte, error) {
	total, ok := sum(request)
	if !ok || total > 1<<32-1 {
		return nil, nil
	}
	return binary.BigEndian.AppendUint32(nil, uint32(total)), nil
}

// sumString answers in decimal digits.
func sumString(_ context.Context, request []byte) ([]byte, error) {
	total, ok := sum(request)
	if !ok {
		return nil, nil
	}
	return strconv.AppendUint(nil, total, 10), nil
}

// sum is exact: no message is long enough to overflow 64 bits.
func sum(request []byte) (total uint64, ok bool) {
	if len(request) == 0 || len(request)%4 != 0 {
		return 0, false
	}
	for ; len(request) > 0; request = request[4:] {
		total += uint64(binary.BigEndian.Uint32(request))
	}
	return total, true
}
