package cli

import (
	"encoding/hex"
	"fmt"
)

// hexDump shows the bytes of one direction on stderr.
type hexDump struct {
	report    *reporter
	direction string // "sent" or "received", of a relay "forward" or "backward"
	remote    string
	offset    int64
}

// dump shows chunk as lines of 16 bytes, with > for what is sent or goes forward
// and < for what comes back, and the offset within that direction.
func (h *hexDump) dump(chunk []byte) {
	at := h.offset
	h.offset += int64(len(chunk))
	if h.report.json {
		h.report.emit(event{Event: "data", Direction: h.direction, Remote: h.remote, Offset: &at, Hex: hex.EncodeToString(chunk)})
		return
	}
	mark := byte('>')
	if h.direction == "received" || h.direction == "backward" {
		mark = '<'
	}
	out := fmt.Appendf(nil, "%c %s %d bytes\n", mark, h.remote, len(chunk))
	for i := 0; i < len(chunk); i += 16 {
		row := chunk[i:min(i+16, len(chunk))]
		out = fmt.Appendf(out, "%c %08x ", mark, at+int64(i))
		for j := range 16 {
			if j%8 == 0 {
				out = append(out, ' ')
			}
			if j < len(row) {
				out = fmt.Appendf(out, "%02x ", row[j])
			} else {
				out = append(out, "   "...)
			}
		}
		out = append(out, " |"...)
		for _, b := range row {
			if b < ' ' || b > '~' {
				b = '.'
			}
			out = append(out, b)
		}
		out = append(out, "|\n"...)
	}
	h.report.write(out)
}
