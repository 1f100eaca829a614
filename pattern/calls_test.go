package pattern

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
)

// TestWornSlot uses a slot as often as there are numbers: it isn't used again, for they would come again.
func TestWornSlot(t *testing.T) {
	server, client := NewServer(nil), NewClient(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = server.Serve(context.Background(), func(_ context.Context, request []byte) ([]byte, error) { return request, nil })
	})
	defer wg.Wait()
	defer server.Close()
	defer client.Close()
	if _, err := server.Listen(t.Context(), "mem:"+t.Name()); err != nil {
		t.Fatal(err)
	}
	if err := client.Dial("mem:" + t.Name()); err != nil {
		t.Fatal(err)
	}
	b := &client.calls
	request := func(free ...uint32) {
		t.Helper()
		if parts, err := client.Request(t.Context(), []byte("x")); err != nil || string(parts[0]) != "x" {
			t.Fatalf("got %q, %v", parts, err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if !slices.Equal(b.free, free) {
			t.Errorf("the slots %d are free, want %d", b.free, free)
		}
	}
	request(0)
	b.mu.Lock()
	b.slots[0].uses = math.MaxUint32 - 1
	b.mu.Unlock()
	request(0)
	request() // the last number
	request(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.slots) != 2 || b.slots[0].call != nil {
		t.Errorf("got slots %+v", b.slots)
	}
}
