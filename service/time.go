package service

import (
	"context"
	"encoding/binary"
	"net"
	"time"
)

// timeService tells the seconds since 1900-01-01 00:00 UTC as a 32-bit
// big-endian number (RFC 868). In February 2036 the number starts again from
// 0, as the RFC's 32 bits leave no other way; clients have to know the era.
var timeService = Service{
	Name:    "time",
	Summary: "tells the seconds since 1900 in 4 bytes",
	Stream:  timeStream,
	Message: plain("time", timeMessage),
	Try:     tryListen("--hex"),
}

func timeStream(_ context.Context, conn net.Conn) error {
	if _, err := conn.Write(rfc868(time.Now())); err != nil {
		return err
	}
	return finish(conn)
}

func timeMessage(context.Context, []byte) ([]byte, error) {
	return rfc868(time.Now()), nil
}

// from1900to1970 is in seconds; RFC 868 gives the number.
const from1900to1970 = 2_208_988_800

func rfc868(t time.Time) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(t.Unix()+from1900to1970))
}
