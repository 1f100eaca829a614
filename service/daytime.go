package service

import (
	"context"
	"net"
	"time"
)

// daytimeService tells the date and time as text (RFC 867): in the form that
// the RFC shows first, in UTC, to a stream at once and to each datagram.
var daytimeService = Service{
	Name:    "daytime",
	Summary: "tells the date and time as text",
	Stream:  daytimeStream,
	Message: plain("daytime", daytimeMessage),
	Try:     tryListen(""),
}

func daytimeStream(_ context.Context, conn net.Conn) error {
	if _, err := conn.Write(daytime(time.Now())); err != nil {
		return err
	}
	return finish(conn)
}

func daytimeMessage(context.Context, []byte) ([]byte, error) {
	return daytime(time.Now()), nil
}

func daytime(t time.Time) []byte {
	return t.UTC().AppendFormat(nil, "Monday, January 2, 2006 15:04:05-UTC\r\n")
}
