package tincan

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// joinedSpace holds the control message that tells of joined datagrams.
const joinedSpace = (unix.SizeofCmsghdr + 4 + 7) &^ 7

// joinDatagrams lets the kernel hand over as one what came as one, from a network card or a sender on this
// machine: datagrams of a peer that are as long as the first, but that the last may be shorter
// (udp(7), UDP_GRO; Linux 5.0). It gives false where it can't. There is no way back: the queue may hold some.
func joinDatagrams(raw syscall.RawConn) bool {
	return control(raw, func(fd int) error { return setInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) }) == nil
}

// joinedSize finds among the control messages that came with a datagram the length of
// those that it was joined of, 0 where it is but one.
func joinedSize(oob []byte) int {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4 {
			return int(binary.NativeEndian.Uint32(data))
		}
		oob = rest
	}
	return 0
}

// appendJoined appends the datagrams that data was joined of.
func appendJoined(msgs [][]byte, data []byte, size int) [][]byte {
	for size > 0 && len(data) > size {
		msgs = append(msgs, data[:size:size])
		data = data[size:]
	}
	return append(msgs, data[:len(data):len(data)])
}
