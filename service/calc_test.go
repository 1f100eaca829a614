package service_test

import (
	"context"
	"errors"
	"math/big"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
	"github.com/tincan-ipc/tincan/service"
)

// repeat gives n times the same integer.
func repeat(n int, v uint32) []uint32 {
	ints := make([]uint32, n)
	for i := range ints {
		ints[i] = v
	}
	return ints
}

// Requests and replies, byte by byte.
func TestCalcWire(t *testing.T) {
	for _, tt := range []struct{ name, request, reply string }{
		{"sum", "\x00\x00\x00\x00\x01\x00\x00\x00\x03", "\x80\x00\x00\x00\x04"},
		{"sum as text", "\x01\x00\x00\x00\x01\x00\x00\x00\x03", "\x804"},
		{"product", "\x02\x00\x00\x01\x00\x00\x00\x01\x01", "\x80\x00\x01\x01\x00"},
		{"product as text", "\x03\x00\x00\x00\x0a\x00\x00\x00\x0b", "\x80110"},
		{"one integer", "\x02\xff\xff\xff\xff", "\x80\xff\xff\xff\xff"},
		{"zero", "\x00\x00\x00\x00\x00", "\x80\x00\x00\x00\x00"},
		{"high bits are ignored", "\xf1\x00\x00\x00\x05", "\x805"},
		{"64 integers", "\x00" + strings.Repeat("\x00\x00\x00\x01", 64), "\x80\x00\x00\x00\x40"},
		{"a zero keeps the product small", "\x02" + strings.Repeat("\xff\xff\xff\xff", 3) + "\x00\x00\x00\x00", "\x80\x00\x00\x00\x00"},
		{"no header", "", ""},
		{"unknown opcode", "\x04\x00\x00\x00\x01", "\x00unknown opcode 2"},
		{"the last unknown opcode", "\xff", "\x00unknown opcode 7"},
		{"no integers", "\x00", "\x00no integers"},
		{"not whole", "\x00\x00\x00\x01", "\x00length 4 is not 1 + 4n"},
		{"65 integers", "\x00" + strings.Repeat("\x00\x00\x00\x01", 65), "\x0065 integers, at most 64 allowed"},
		{"sum does not fit", "\x00\xff\xff\xff\xff\x00\x00\x00\x01", "\x00result does not fit into 32 bits"},
		{"it does as text", "\x01\xff\xff\xff\xff\x00\x00\x00\x01", "\x804294967296"},
		{"product does not fit", "\x02\x00\x01\x00\x00\x00\x01\x00\x00", "\x00result does not fit into 32 bits"},
		{"product of 256 digits", "\x03" + strings.Repeat("\x3b\x9a\xca\x00", 28) + "\x00\x00\x03\xe8", "\x801" + strings.Repeat("0", 255)},
		{"product of 257 digits", "\x03" + strings.Repeat("\x3b\x9a\xca\x00", 28) + "\x00\x00\x27\x10", "\x00result has more than 256 digits"},
		{"the largest product", "\x03" + strings.Repeat("\xff\xff\xff\xff", 64), "\x00result has more than 256 digits"},
	} {
		h := message(t, "calc", tincan.Options{})
		got, err := h(t.Context(), []byte(tt.request))
		if string(got) != tt.reply || err != nil {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.reply)
		}
	}
}

func TestCalcRequestAppend(t *testing.T) {
	for _, tt := range []struct {
		q    service.CalcRequest
		want string // empty: an error
	}{
		{service.CalcRequest{Ints: []uint32{1, 1 << 31}}, "\x00\x00\x00\x00\x01\x80\x00\x00\x00"},
		{service.CalcRequest{Op: service.CalcProduct, String: true, Ints: []uint32{2}}, "\x03\x00\x00\x00\x02"},
		{service.CalcRequest{Op: 7, Ints: []uint32{2}}, "\x0e\x00\x00\x00\x02"},
		{service.CalcRequest{Op: 8, Ints: []uint32{2}}, ""},
		{service.CalcRequest{}, ""},
		{service.CalcRequest{Ints: repeat(65, 1)}, ""},
	} {
		got, err := tt.q.Append(nil)
		if string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%+v: %q, %v; want %q", tt.q, got, err, tt.want)
		}
	}
}

func TestDecodeCalcReply(t *testing.T) {
	var refused *service.CalcError
	var fault *frame.ProtocolError
	for _, tt := range []struct {
		name, reply string
		text        bool
		want        string
		as          any
	}{
		{"binary", "\x80\xff\xff\xff\xff", false, "4294967295", nil},
		{"text", "\x8012345678901234567890", true, "12345678901234567890", nil},
		{"low bits are ignored", "\xff\x00\x00\x00\x00", false, "0", nil},
		{"refused", "\x00unknown opcode 2", false, "", &refused},
		{"refused, low bits are ignored", "\x7fno", true, "", &refused},
		{"refused without a reason", "\x00", false, "", &refused},
		{"no header", "", true, "", &fault},
		{"three bytes", "\x80abc", false, "", &fault},
		{"five bytes", "\x80abcde", false, "", &fault},
		{"no digits", "\x80", true, "", &fault},
		{"not digits", "\x8012x", true, "", &fault},
		{"256 digits", "\x80" + strings.Repeat("7", 256), true, strings.Repeat("7", 256), nil},
		{"257 digits", "\x80" + strings.Repeat("7", 257), true, "", &fault},
	} {
		got, err := service.DecodeCalcReply([]byte(tt.reply), tt.text)
		if got != tt.want || (err == nil) != (tt.as == nil) || tt.as != nil && !errors.As(err, tt.as) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if _, err := service.DecodeCalcReply([]byte("\x00a\x1b[31m\xff"), false); !errors.As(err, &refused) || refused.Reason != "a?[31m?" {
		t.Errorf("a reason that would harm a terminal: %q", err)
	}
}

func TestParseCalcWords(t *testing.T) {
	for word, want := range map[string]service.CalcOp{
		"+": service.CalcSum, "sum": service.CalcSum, "*": service.CalcProduct, "x": service.CalcProduct, "Product": service.CalcProduct,
	} {
		if got, err := service.ParseCalcOp(word); got != want || err != nil {
			t.Errorf("ParseCalcOp(%q) = %v, %v", word, got, err)
		}
	}
	if _, err := service.ParseCalcOp("-"); err == nil {
		t.Error("there is no subtraction")
	}
	got, err := service.ParseCalcInts([]string{"0", "4294967295", "007"})
	if diff := cmp.Diff([]uint32{0, 4294967295, 7}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, words := range [][]string{
		nil,
		{"4294967296"},
		{"-1"},
		{"+1"},
		{"1.5"},
		{""},
		{"1", "two"},
		{"0x10"},
		{"1_000"},
		strings.Fields(strings.Repeat("1 ", 65)),
	} {
		if _, err := service.ParseCalcInts(words); err == nil {
			t.Errorf("ParseCalcInts(%q) took them", words)
		}
	}
}

func TestCalc(t *testing.T) {
	onEach(t, message(t, "calc", tincan.Options{}), func(t *testing.T, url string) {
		for _, tt := range []struct {
			q    service.CalcRequest
			want string
		}{
			{service.CalcRequest{Ints: []uint32{1, 3, 5, 7, 9}}, "25"},
			{service.CalcRequest{Op: service.CalcProduct, String: true, Ints: []uint32{1, 3, 5, 7, 9}}, "945"},
			{service.CalcRequest{String: true, Ints: repeat(64, 1<<32-1)}, strconv.Itoa(64 * (1<<32 - 1))},
			{service.CalcRequest{Op: service.CalcProduct, Ints: repeat(3, 1<<16)}, ""},
			{service.CalcRequest{Op: 5, Ints: []uint32{1}}, ""},
		} {
			got, err := service.Calc(t.Context(), dialMessage(t, url), tt.q, &service.CalcOptions{Timeout: patience})
			var refused *service.CalcError
			if got != tt.want || tt.want == "" && (!errors.As(err, &refused) || refused.Reason == "") {
				t.Errorf("%+v: %q, %v; want %q", tt.q, got, err, tt.want)
			}
		}
	})
}

// A reply that is lost is asked for again, and the third try is the last.
func TestCalcRetries(t *testing.T) {
	for _, tt := range []struct {
		lost int
		want time.Duration
		err  error
	}{
		{0, 0, nil},
		{2, 2 * time.Second, nil},
		{3, 3 * time.Second, os.ErrDeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			lost := tt.lost
			serveMessages(t, nil, "mem:calc", func(ctx context.Context, request []byte) ([]byte, error) {
				if lost--; lost >= 0 {
					return nil, nil
				}
				return message(t, "calc", tincan.Options{})(ctx, request)
			})
			start := time.Now()
			got, err := service.Calc(t.Context(), dialMessage(t, "mem:calc"), service.CalcRequest{Ints: []uint32{20, 22}}, nil)
			if took := time.Since(start); took != tt.want {
				t.Errorf("%d lost: it took %v, want %v", tt.lost, took, tt.want)
			}
			if !errors.Is(err, tt.err) || err == nil && got != "42" {
				t.Errorf("%d lost: %q, %v", tt.lost, got, err)
			}
			if err != nil && tincan.KindOf(err) != tincan.KindTimeout {
				t.Errorf("%v is of kind %v", err, tincan.KindOf(err))
			}
		})
	}
}

func TestCalcFails(t *testing.T) {
	// A port where nobody listens.
	gone, err := tincan.ListenMessage(t.Context(), "udp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	q := service.CalcRequest{Ints: []uint32{1}}
	start := time.Now()
	_, err = service.Calc(t.Context(), dialMessage(t, gone.Addr().String()), q, &service.CalcOptions{Timeout: time.Hour})
	if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(start) > patience {
		t.Errorf("nobody there: %v after %v", err, time.Since(start))
	}
	// One that never answers, and a ctx that ends.
	url, _ := serveMessages(t, nil, "mem:"+t.Name(), message(t, "discard", tincan.Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := service.Calc(ctx, dialMessage(t, url), q, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	// One that answers nonsense.
	url, _ = serveMessages(t, nil, "mem:"+t.Name()+"-nonsense", func(context.Context, []byte) ([]byte, error) { return make([]byte, 300), nil })
	var fault *frame.ProtocolError
	if _, err := service.Calc(t.Context(), dialMessage(t, url), q, nil); !errors.As(err, &fault) {
		t.Errorf("nonsense: %v", err)
	}
	// What can't be asked isn't sent.
	if _, err := service.Calc(t.Context(), dialMessage(t, url), service.CalcRequest{}, nil); err == nil {
		t.Error("no integers: no error")
	}
}

// Whatever arrives, the calculator decodes it or refuses it with a reason, and what
// it decodes encodes to the same bytes but for those that are ignored.
func FuzzCalcRequest(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x00\x01\x00\x00\x00\x03"))
	f.Add([]byte("\xf3\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x04"))
	f.Add(make([]byte, 1+4*65))
	h := message(f, "calc", tincan.Options{})
	f.Fuzz(func(t *testing.T, in []byte) {
		reply, err := h(t.Context(), in)
		if err != nil || (reply == nil) != (len(in) == 0) || len(reply) > 257 {
			t.Fatalf("%q: reply %q, %v", in, reply, err)
		}
		q, err := service.DecodeCalcRequest(in)
		var fault *frame.ProtocolError
		if err != nil {
			if !errors.As(err, &fault) || len(in) > 0 && (reply[0] != 0 || string(reply[1:]) != fault.Detail || fault.Detail == "") {
				t.Fatalf("%q: %v, reply %q", in, err, reply)
			}
			return
		}
		again, err := q.Append(nil)
		if err != nil || string(again[1:]) != string(in[1:]) || again[0] != in[0]&0x0f {
			t.Fatalf("%q became %q, %v", in, again, err)
		}
		got, err := service.DecodeCalcReply(reply, q.String)
		var refused *service.CalcError
		switch want := q.Result(); {
		case errors.As(err, &refused):
			if refused.Reason == "" || !q.String && want.IsUint64() && want.Uint64() < 1<<32 {
				t.Fatalf("%q: refused with %q", in, refused.Reason)
			}
		case err != nil || got != want.String():
			t.Fatalf("%q: %s, %v; want %v", in, got, err, want)
		}
	})
}

// Whatever arrives, the client gives a result or an error, and results survive the round trip.
func FuzzCalcReply(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte("\x80\x00\x00\x00\x04"), false)
	f.Add([]byte("\x80945"), true)
	f.Add([]byte("\x00no integers"), true)
	f.Add([]byte("\xec\xc8"), true)
	f.Fuzz(func(t *testing.T, in []byte, text bool) {
		got, err := service.DecodeCalcReply(in, text)
		if err != nil {
			if got != "" || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("%q: %q, %v", in, got, err)
			}
			return
		}
		result, ok := new(big.Int).SetString(got, 10)
		if !ok || in[0]&0x80 == 0 {
			t.Fatalf("%q: %q", in, got)
		}
		back, err := service.DecodeCalcReply(service.AppendCalcReply(nil, result, text), text)
		if err != nil || back != result.String() {
			t.Fatalf("%q: %s became %s, %v", in, got, back, err)
		}
	})
}
