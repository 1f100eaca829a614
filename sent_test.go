package tincan

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Reset waits while the peer takes what was written, and once it takes nothing no longer than a stall, or than ctx.
func TestAwaitSent(t *testing.T) {
	for name, tt := range map[string]struct {
		moves time.Duration // how long the peer takes a byte now and then
		rest  int           // what it never takes
		limit time.Duration
		want  time.Duration
	}{
		"all is taken":   {moves: 10 * time.Second, limit: time.Hour, want: 9500 * time.Millisecond},
		"it stalls":      {rest: 1, limit: time.Hour, want: maxSentStall},
		"it stalls late": {moves: 10 * time.Second, rest: 1, limit: time.Hour, want: 9500*time.Millisecond + maxSentStall},
		"ctx ends":       {rest: 1, limit: maxSentStall / 2, want: maxSentStall / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
				defer cancel()
				start := time.Now()
				awaitSent(ctx, func() int { return tt.rest + int(max(0, tt.moves-time.Since(start))/(maxSentStall/2)) })
				if took := time.Since(start); took < tt.want || took > tt.want+2*maxSentPause {
					t.Errorf("it took %v, want %v and a pause or two", took, tt.want)
				}
			})
		})
	}
}
