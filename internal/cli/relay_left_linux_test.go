package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// await waits until it matches.
func (l *transcript) await(t *testing.T, re *regexp.Regexp) {
	t.Helper()
	late := time.After(testPatience)
	for {
		l.mu.Lock()
		text := string(l.text)
		if l.news == nil {
			l.news = make(chan struct{})
		}
		news := l.news
		l.mu.Unlock()
		if re.MatchString(text) {
			return
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("waited in vain for %v in:\n%s", re, text)
		}
	}
}

// retrying starts a relay whose target does not answer yet, with the URL at which it should.
func retrying(t *testing.T, from string) (relay *background, target string) {
	t.Helper()
	target = filepath.Join(t.TempDir(), "target")
	return relayServer(t, "--retry", "--backoff", "50ms..100ms", from, "unix:"+target), target
}

var (
	tryingAgain = regexp.MustCompile("trying again")
	triedOften  = regexp.MustCompile("(?s)(trying again.*){5}") // when it would long have been given up
	hasLeft     = regexp.MustCompile("client .*: left before a target answered")
	hasReset    = regexp.MustCompile("client .*: the client reset the connection")
)

// TestRelayClientLeaves: while the target is retried a client is noticed to leave, where it can be told.
func TestRelayClientLeaves(t *testing.T) {
	t.Parallel()
	t.Run("unix", func(t *testing.T) {
		t.Parallel()
		relay, _ := retrying(t, "unix:"+filepath.Join(t.TempDir(), "from"))
		c := dialUnix(t, relay.url)
		relay.log.await(t, tryingAgain)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		relay.log.await(t, hasLeft)
	})
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		relay, _ := retrying(t, "tcp://127.0.0.1:0")
		c := dialTCP(t, relay.url)
		if _, err := io.WriteString(c, "lost"); err != nil {
			t.Error(err)
		}
		relay.log.await(t, tryingAgain)
		reset(c)
		relay.log.await(t, hasReset)
	})
}

// TestRelayClientEndsEarly: a client that has half-closed, or has sent something before it closed, is served
// all the same once the target answers.
func TestRelayClientEndsEarly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, from, text string
		end              func(c net.Conn) error
	}{
		{"half-closed without a word", "unix:", "", tincanCloseWrite},
		{"half-closed", "unix:", "text", tincanCloseWrite},
		{"closed", "unix:", "text", net.Conn.Close},
		{"tcp half-closed without a word", "tcp://127.0.0.1:0", "", tincanCloseWrite},
		{"tcp closed", "tcp://127.0.0.1:0", "text", net.Conn.Close},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.from == "unix:" {
				tt.from += filepath.Join(t.TempDir(), "from")
			}
			relay, target := retrying(t, tt.from)
			var c net.Conn
			if strings.HasPrefix(relay.url, "tcp:") {
				c = dialTCP(t, relay.url)
			} else {
				c = dialUnix(t, relay.url)
			}
			if _, err := io.WriteString(c, tt.text); err != nil {
				t.Fatal(err)
			}
			if err := tt.end(c); err != nil {
				t.Fatal(err)
			}
			relay.log.await(t, triedOften)
			ln := listenOn(t, "unix", target)
			p, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if got, err := io.ReadAll(p); err != nil || string(got) != tt.text {
				t.Errorf("the target got %q, %v", got, err)
			}
		})
	}
}

func tincanCloseWrite(c net.Conn) error { return tincan.CloseWrite(c) }

// dialUnix connects to a URL until the test ends.
func dialUnix(t *testing.T, url string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("unix", strings.TrimPrefix(strings.TrimPrefix(url, "unix:"), "//"), testPatience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A panicking end is one whose code is at fault.
type panicking struct{}

func (panicking) Stream(context.Context, net.Conn) error            { panic("at fault") }
func (panicking) Message(context.Context, tincan.MessageConn) error { panic("at fault") }

// TestRelayPanic: what a fault of the relay itself ends is told as other ends are, and counted.
func TestRelayPanic(t *testing.T) {
	out := &strings.Builder{}
	r := &relaying{program: &program{report: &reporter{w: out}}, flags: &relayFlags{}, plan: &relayPlan{to: []relaySide{{}}}, to: panicking{}}
	r.served = &served{counts: &r.counts}
	r.stopping, r.fail = context.WithCancelCause(t.Context())
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	err := newLink(r, server, false).relayStream(t.Context(), server)
	if panicked := (*service.PanicError)(nil); !errors.As(err, &panicked) || panicked.Value != "at fault" || len(panicked.Stack) == 0 {
		t.Errorf("got %v, want the panic", err)
	}
	if want := "client pipe: handler panicked: at fault"; !strings.Contains(out.String(), want) {
		t.Errorf("said %q, want %q", out, want)
	}
	if open, failed := r.counts.open.Load(), r.counts.failures[tincan.KindOther].Load(); open != 0 || failed != 1 {
		t.Errorf("%d are open and %d have failed", open, failed)
	}
}
