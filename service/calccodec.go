package service

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/tincan-ipc/tincan/frame"
)

// Limits of the calculator protocol.
const (
	// MaxCalcInts is how many integers one request may hold.
	MaxCalcInts = 64
	// maxCalcPayload bounds what follows the header of a request or a reply, in bytes.
	maxCalcPayload = 4 * MaxCalcInts
	// calcSuccess is the S bit of a reply's header.
	calcSuccess = 0x80
)

const calcRule = "calculator protocol"

// A CalcOp is an operation of the calculator.
type CalcOp uint8

// The operations.
const (
	CalcSum CalcOp = iota
	CalcProduct
)

// String gives the operation's name.
func (op CalcOp) String() string {
	switch op {
	case CalcSum:
		return "sum"
	case CalcProduct:
		return "product"
	}
	return "opcode " + strconv.Itoa(int(op))
}

// ParseCalcOp reads an operation: "+" or "sum", "*", "x" or "product".
func ParseCalcOp(word string) (CalcOp, error) {
	switch strings.ToLower(word) {
	case "+", "sum":
		return CalcSum, nil
	case "*", "x", "product":
		return CalcProduct, nil
	}
	return 0, fmt.Errorf("%q is not an operation: + or sum, * or product", word)
}

// ParseCalcInts reads the integers of a command line: 1 to [MaxCalcInts] of
// them, each from 0 to 4294967295.
func ParseCalcInts(words []string) ([]uint32, error) {
	if n := len(words); n == 0 || n > MaxCalcInts {
		return nil, fmt.Errorf("%d integers are given: it takes 1 to %d", n, MaxCalcInts)
	}
	ints := make([]uint32, len(words))
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not an integer from 0 to 4294967295", word)
		}
		ints[i] = uint32(n)
	}
	return ints, nil
}

// A CalcRequest asks the calculator.
type CalcRequest struct {
	Op CalcOp
	// String asks for the result in decimal digits, up to 256 of them, instead of 32 bits.
	String bool
	// Ints are 1 to [MaxCalcInts] integers.
	Ints []uint32
}

// Append appends the request as it goes over the wire. The error is a request that has no such form.
func (q *CalcRequest) Append(dst []byte) ([]byte, error) {
	if n := len(q.Ints); n == 0 || n > MaxCalcInts {
		return dst, fmt.Errorf("%d integers: a request holds 1 to %d", n, MaxCalcInts)
	}
	if q.Op > 7 {
		return dst, fmt.Errorf("opcode %d does not fit into 3 bits", q.Op)
	}
	header := byte(q.Op) << 1
	if q.String {
		header |= 1
	}
	dst = append(dst, header)
	for _, n := range q.Ints {
		dst = binary.BigEndian.AppendUint32(dst, n)
	}
	return dst, nil
}

// DecodeCalcRequest reads a request. Every error is a [*frame.ProtocolError]. Where the
// header is there but nothing else is right, Op and String are still those of the header.
func DecodeCalcRequest(b []byte) (CalcRequest, error) {
	if len(b) == 0 {
		return CalcRequest{}, calcFault(0, "no header")
	}
	q := CalcRequest{Op: CalcOp(b[0] >> 1 & 7), String: b[0]&1 == 1}
	payload := b[1:]
	switch {
	case q.Op > CalcProduct:
		return q, calcFault(0, fmt.Sprintf("unknown opcode %d", q.Op))
	case len(payload) == 0:
		return q, calcFault(1, "no integers")
	case len(payload)%4 != 0:
		return q, calcFault(1, fmt.Sprintf("length %d is not 1 + 4n", len(b)))
	case len(payload) > maxCalcPayload:
		return q, calcFault(1+maxCalcPayload, fmt.Sprintf("%d integers, at most %d allowed", len(payload)/4, MaxCalcInts))
	}
	q.Ints = make([]uint32, len(payload)/4)
	for i := range q.Ints {
		q.Ints[i] = binary.BigEndian.Uint32(payload[4*i:])
	}
	return q, nil
}

// calcFault is what is wrong with a message; its Detail is also the payload of an error reply.
func calcFault(offset int, detail string) error {
	return &frame.ProtocolError{Offset: int64(offset), Rule: calcRule, Detail: detail}
}

// Result computes the exact result. It has at most 32 × [MaxCalcInts] bits.
func (q *CalcRequest) Result() *big.Int {
	result := new(big.Int)
	if q.Op == CalcProduct {
		result.SetUint64(1)
	}
	var operand big.Int
	for _, n := range q.Ints {
		operand.SetUint64(uint64(n))
		if q.Op == CalcProduct {
			result.Mul(result, &operand)
		} else {
			result.Add(result, &operand)
		}
	}
	return result
}

// A CalcError is the calculator's refusal.
type CalcError struct {
	// Reason is what the server says, printable ASCII; it may be empty.
	Reason string
}

func (e *CalcError) Error() string {
	if e.Reason == "" {
		return "the calculator refused without a reason"
	}
	return "the calculator refused: " + e.Reason
}

// AppendCalcReply appends the reply that gives result, as digits where
// asString is set, or an error reply where it doesn't fit.
func AppendCalcReply(dst []byte, result *big.Int, asString bool) []byte {
	if asString {
		digits := result.Append(nil, 10)
		if len(digits) > maxCalcPayload {
			return AppendCalcError(dst, fmt.Sprintf("result has more than %d digits", maxCalcPayload))
		}
		return append(append(dst, calcSuccess), digits...)
	}
	if result.BitLen() > 32 {
		return AppendCalcError(dst, "result does not fit into 32 bits")
	}
	return binary.BigEndian.AppendUint32(append(dst, calcSuccess), uint32(result.Uint64()))
}

// AppendCalcError appends an error reply. A reason of more than 256 bytes is cut.
func AppendCalcError(dst []byte, reason string) []byte {
	return append(append(dst, 0), reason[:min(len(reason), maxCalcPayload)]...)
}

// DecodeCalcReply reads the reply to a request with that String and gives the
// result in decimal digits. The error is a [*CalcError] where the server
// refused, and a [*frame.ProtocolError] where the reply is none.
func DecodeCalcReply(b []byte, asString bool) (string, error) {
	if len(b) == 0 {
		return "", calcFault(0, "no header")
	}
	payload := b[1:]
	switch {
	case len(payload) > maxCalcPayload:
		return "", calcFault(1+maxCalcPayload, fmt.Sprintf("payload of %d bytes, at most %d allowed", len(payload), maxCalcPayload))
	case b[0]&calcSuccess == 0:
		return "", &CalcError{Reason: strings.Map(printable, string(payload))}
	case !asString && len(payload) != 4:
		return "", calcFault(1, fmt.Sprintf("result of %d bytes, not 4", len(payload)))
	case !asString:
		return strconv.FormatUint(uint64(binary.BigEndian.Uint32(payload)), 10), nil
	case len(payload) == 0:
		return "", calcFault(1, "no result")
	}
	for i, digit := range payload {
		if digit < '0' || digit > '9' {
			return "", calcFault(1+i, fmt.Sprintf("byte %#02x is not a digit", digit))
		}
	}
	return string(payload), nil
}

// printable replaces what could do harm on a terminal.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}
