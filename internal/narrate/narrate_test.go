package narrate

import (
	"net"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
)

// TestStepsTellsEverything calls each function of the trace, so that one which is added is told too.
func TestStepsTellsEverything(t *testing.T) {
	told := 0
	trace := reflect.ValueOf(Steps(func(Step) { told++ })).Elem()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for i := range trace.NumField() {
		name, f := trace.Type().Field(i).Name, trace.Field(i)
		if f.IsNil() {
			t.Errorf("%s is not told", name)
			continue
		}
		var args []reflect.Value
		for j := range f.Type().NumIn() {
			switch in := f.Type().In(j); in {
			case reflect.TypeFor[net.Addr]():
				args = append(args, reflect.ValueOf(a.LocalAddr()))
			case reflect.TypeFor[tincan.Conn]():
				args = append(args, reflect.ValueOf(a))
			default:
				args = append(args, reflect.Zero(in))
			}
		}
		before := told
		f.Call(args)
		if told == before {
			t.Errorf("%s tells nothing", name)
		}
	}
}

func TestWords(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var got []string
	trace := Steps(func(s Step) { got = append(got, s.String()) })
	trace.Connecting("tcp", "127.0.0.1:80")
	trace.Connected("tcp", "127.0.0.1:80", 1234*time.Microsecond, nil)
	trace.HalfClosed(a, tincan.Remote)
	trace.HalfClosed(a, tincan.Local)
	trace.Closed(a, 1, 2, nil)
	trace.Closed(a, 1, 2, syscall.ECONNRESET)
	want := []string{
		"socket tcp · socket(2)", "connect 127.0.0.1:80 · connect(2)", "connected 127.0.0.1:80 · connect(2) · in 1.2ms",
		"half-close from pipe · read(2) = 0", "half-close to pipe · shutdown(2)",
		"close pipe · close(2) · received 1, sent 2",
		"reset pipe · read(2) or write(2) · received 1, sent 2, " + syscall.ECONNRESET.Error(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestJoinTellsBoth covers each function of the trace.
func TestJoinTellsBoth(t *testing.T) {
	typ := reflect.TypeFor[tincan.Trace]()
	var told []string
	all := func(who string) *tincan.Trace {
		trace := reflect.New(typ)
		for i := range typ.NumField() {
			trace.Elem().Field(i).Set(reflect.MakeFunc(typ.Field(i).Type, func([]reflect.Value) []reflect.Value {
				told = append(told, who)
				return nil
			}))
		}
		return trace.Interface().(*tincan.Trace)
	}
	for _, c := range []struct {
		a, b *tincan.Trace
		want []string
	}{
		{all("a"), all("b"), []string{"a", "b"}},
		{all("a"), &tincan.Trace{}, []string{"a"}},
		{&tincan.Trace{}, all("b"), []string{"b"}},
		{all("a"), nil, []string{"a"}},
		{nil, all("b"), []string{"b"}},
	} {
		joined := reflect.ValueOf(Join(c.a, c.b)).Elem()
		for i := range typ.NumField() {
			told = nil
			var args []reflect.Value
			for j := range typ.Field(i).Type.NumIn() {
				args = append(args, reflect.Zero(typ.Field(i).Type.In(j)))
			}
			joined.Field(i).Call(args)
			if !slices.Equal(told, c.want) {
				t.Errorf("%s told %v, want %v", typ.Field(i).Name, told, c.want)
			}
		}
	}
	if Join(nil, nil) != nil {
		t.Error("of nothing something was made")
	}
}
