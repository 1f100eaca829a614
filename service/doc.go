// Package service holds the ready services and the one server loop that hosts
// them, or any handler: a [StreamHandler] serves a byte stream, a
// [MessageHandler] answers one message.
//
//	l, err := tincan.Listen(ctx, "tcp://127.0.0.1:27015")
//	if err != nil {
//		return err
//	}
//	echo, _ := service.Lookup("echo")
//	return (&service.Server{}).Serve(ctx, l, echo.Stream) // until ctx ends, then drains
//
// A [Server] serves any number of clients at once; a client that stalls, resets
// or makes its handler panic never touches another.
package service
