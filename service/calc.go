package service

import (
	"context"
	"errors"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// calcService adds and multiplies 32-bit integers, one message a question.
var calcService = Service{
	Name:      "calc",
	Summary:   "adds or multiplies integers",
	Endpoints: []string{"udp://[::1]:10000"},
	Message:   plain("calc", calcMessage),
	Try: func(e *tincan.Endpoint) string {
		return "tincan calc + " + dialable(e) + " 1 3 5 7 9"
	},
}

// calcMessage refuses what it can't compute with a reason; only a message
// without a header gets no answer.
func calcMessage(_ context.Context, request []byte) ([]byte, error) {
	if len(request) == 0 {
		return nil, nil
	}
	q, err := DecodeCalcRequest(request)
	var fault *frame.ProtocolError
	if errors.As(err, &fault) {
		return AppendCalcError(nil, fault.Detail), nil
	}
	return AppendCalcReply(nil, q.Result(), q.String), nil
}
