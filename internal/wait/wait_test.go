package wait_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan/internal/wait"
)

// passed reports whether ch is closed.
func passed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestDeadlinePassesWhenItIsSetTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d wait.Deadline
		first := d.Wait()
		d.Set(time.Now().Add(time.Second))
		d.Set(time.Now().Add(time.Hour)) // the first has no effect any more
		time.Sleep(time.Minute)
		if passed(first) {
			t.Fatal("it passed at the instant before it was moved")
		}
		time.Sleep(time.Hour)
		if !passed(first) || !passed(d.Wait()) {
			t.Fatal("it did not pass")
		}
		d.Set(time.Time{})
		time.Sleep(time.Hour)
		if passed(d.Wait()) {
			t.Fatal("none passed")
		}
		d.Set(time.Now().Add(-time.Second))
		if !passed(d.Wait()) {
			t.Fatal("one of before now did not pass at once")
		}
	})
}

// TestDeadlineMoved moves one while it is waited for.
func TestDeadlineMoved(t *testing.T) {
	var d wait.Deadline
	never := d.Wait()
	d.Set(time.Now().Add(time.Hour))
	d.Set(time.Now())
	<-never
	d.Set(time.Time{})
	select {
	case <-d.Wait():
		t.Error("no deadline has passed")
	default:
	}
	d.Set(time.Now().Add(-time.Hour))
	<-d.Wait()
}

// TestGateLetsOneIn: each unit is taken by one waiter, and none is left over.
func TestGateLetsOneIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu    sync.Mutex
			gate  wait.Gate
			units int
			taken int
			takes sync.WaitGroup
		)
		for range 10 {
			takes.Go(func() {
				mu.Lock()
				defer mu.Unlock()
				for units == 0 {
					gate.Wait(context.Background(), &mu)
				}
				units--
				taken++
				if units > 0 {
					gate.Open()
				}
			})
		}
		synctest.Wait()
		for want := range 10 {
			if taken != want {
				t.Fatalf("%d got in, want %d", taken, want)
			}
			mu.Lock()
			units++
			gate.Open()
			gate.Open() // is one opening
			mu.Unlock()
			synctest.Wait()
		}
		takes.Wait()
	})
}

func TestGateContextEndsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu   sync.Mutex
			gate wait.Gate
		)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		mu.Lock()
		defer mu.Unlock()
		gate.Open() // nobody waits, so nobody is let in
		if gate.Wait(ctx, &mu); ctx.Err() == nil {
			t.Fatal("it was opened for nobody, and let one in")
		}
	})
}
