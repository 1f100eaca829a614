//go:build linux

package interop

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/internal/porttest"
)

// notify starts tincan serve notify on endpoints, and gives where it listens. Its input is the state.
func notify(t *testing.T, endpoints ...string) (p *process, urls []string) {
	t.Helper()
	p = start(t, append([]string{tincan(t), "serve", "notify"}, endpoints...)...)
	re := regexp.MustCompile(fmt.Sprintf(`^(?:(?s:.*?)listening on (\S+)\s){%d}`, len(endpoints)))
	p.await(p.err, re)
	for _, m := range listening.FindAllStringSubmatch(p.err.String(), -1) {
		urls = append(urls, m[1])
	}
	return p, urls
}

// stateConsumers print the state that they follow: {VALUE} in a pattern is door's, as each has it.
var stateConsumers = []struct {
	name     string
	endpoint func(t *testing.T) string
	argv     func(t *testing.T, url string) []string
	value    func(json string) string // a line with door's value
	gone     string                   // one that says that cpu.0 is gone
	follows  string                   // what says that the server has heard of all that is wanted: what changes before may come in a snapshot alone
}{
	{
		name: "C over TCP", endpoint: tcpEndpoint,
		argv: func(t *testing.T, url string) []string {
			return append([]string{filepath.Join(builtC(t), "state_consumer")}, parseURL(t, url).words()...)
		},
		value: func(json string) string { return `"door",?:?(?:"value":)?` + json }, gone: `"key":"cpu.0","deleted":true`,
	},
	{
		name: "C over a Unix socket, narrowed", endpoint: unixEndpoint,
		argv: func(t *testing.T, url string) []string {
			return append(append([]string{filepath.Join(builtC(t), "state_consumer")}, parseURL(t, url).words()...), "do", "cpu.")
		},
		value: func(json string) string { return `"door",?:?(?:"value":)?` + json }, gone: `"key":"cpu.0","deleted":true`,
		follows: `(?s)"snapshot".*"snapshot".*"cpu.0",?:?(?:"value":)?12.5`,
	},
	{
		name: "Java over a Unix socket", endpoint: unixEndpoint,
		argv: func(t *testing.T, url string) []string {
			return append([]string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", builtJava(t), "StateConsumer"}, parseURL(t, url).words()...)
		},
		value: func(json string) string { return `(?m)^door +` + strings.Trim(json, `"`) + `$` }, gone: `KEY +VALUE\ndoor`,
	},
	{
		name: "Java over JeroMQ", endpoint: pubEndpoint,
		argv: func(t *testing.T, url string) []string {
			path := builtZeromqJava(t) + ":" + jeromq
			return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", path, "StateSubscriber", zeromqURL(url)}
		},
		value: func(json string) string { return `(?m)^door +` + strings.Trim(json, `"`) + `$` }, gone: `KEY +VALUE\ndoor`,
	},
	{
		name: "Python over pyzmq", endpoint: pubEndpoint,
		argv: func(t *testing.T, url string) []string {
			return []string{debianPython(t), "python/zeromq/state_subscriber.py", zeromqURL(url), "door", "cpu."}
		},
		value: func(json string) string { return `(?m)^door=` + json + `$` }, gone: `(?m)^cpu.0 deleted$`,
		follows: `(?m)^cpu.0=12.5$`,
	},
}

func tcpEndpoint(*testing.T) string    { return "tcp://127.0.0.1:0" }
func unixEndpoint(t *testing.T) string { return "unix://" + socketPath(t) }
func pubEndpoint(*testing.T) string    { return "pub+tcp://127.0.0.1:0" }

// zeromqURL is a URL of a state as ZeroMQ writes it.
func zeromqURL(url string) string { return zeromqEndpoint(strings.TrimPrefix(url, "pub+")) }

// TestStateConsumers has consumers of each language follow tincan's state: one that is there from the start, and one that comes late.
func TestStateConsumers(t *testing.T) {
	for _, consumer := range stateConsumers {
		t.Run(consumer.name, func(t *testing.T) {
			t.Parallel()
			provider, urls := notify(t, consumer.endpoint(t))
			provider.say("door=open\ncpu.0=12.5\nlamp={\"on\":true,\"text\":\"a \\\"b\\\" \\u001b\"}\n")
			early := start(t, consumer.argv(t, urls[0])...)
			early.await(early.out, regexp.MustCompile(consumer.value(`"open"`)))
			early.await(early.out, regexp.MustCompile(consumer.follows))
			provider.say("door=closed\ncpu.0=\n")
			early.await(early.out, regexp.MustCompile(consumer.value(`"closed"`)))
			early.await(early.out, regexp.MustCompile(consumer.gone))
			late := start(t, consumer.argv(t, urls[0])...)
			late.await(late.out, regexp.MustCompile(consumer.value(`"closed"`)))
			if strings.Contains(early.out.String(), "\x1b") {
				t.Error("a control character comes out raw")
			}
		})
	}
}

// TestStateProviders has tincan watch the state that a program in another language publishes.
func TestStateProviders(t *testing.T) {
	python := []string{"python3", "python/state_provider.py"}
	for _, family := range families {
		t.Run("Python/"+family.name, func(t *testing.T) {
			t.Parallel()
			at := family.free(t)
			if at.path == "" { // the port is to be had again when the provider has been killed
				at.port = strconv.Itoa(porttest.Reserve(t))
			}
			provider := start(t, append(python, at.words()...)...)
			provider.await(provider.out, listening)
			provider.say("door=open\ncpu.0=12.5\nname=Tür\n")
			watch := start(t, tincan(t), "watch", at.url("tcp"))
			for _, entry := range []string{"door=open", "name=Tür"} { // of the snapshot, or changes behind it
				watch.await(watch.out, regexp.MustCompile(`(?m)^(20\S+Z )?`+entry+`$`))
			}
			narrow := start(t, tincan(t), "watch", "--json", "--keys", "do", at.url("tcp"))
			narrow.await(narrow.out, regexp.MustCompile(`"snapshot":\{"door":"open"\}`))
			provider.say("door=closed\ncpu.0=\n")
			watch.await(watch.out, regexp.MustCompile(`(?m)^20\S+Z door=closed$`))
			watch.await(watch.out, regexp.MustCompile(`(?m)^20\S+Z cpu.0 deleted$`))
			narrow.await(narrow.out, regexp.MustCompile(`"key":"door","value":"closed"`))
			wantSame(t, run(t, nil, tincan(t), "watch", "--once", at.url("tcp")), "door=closed\nname=Tür\n")

			provider.kill()
			watch.await(watch.err, regexp.MustCompile("trying again"))
			again := start(t, append(python, at.words()...)...)
			again.await(again.out, listening)
			again.say("door=open\n")
			watch.await(watch.out, regexp.MustCompile(`(?m)^20\S+Z door=open$`))
			watch.await(watch.out, regexp.MustCompile(`(?m)^20\S+Z name deleted$`))
			watch.signal(syscall.SIGINT)
			watch.wantStatus(128 + 2)
		})
		t.Run("C/"+family.name, func(t *testing.T) {
			t.Parallel()
			at := family.free(t)
			provider := start(t, append([]string{filepath.Join(builtC(t), "state_provider")}, at.words()...)...)
			if where := provider.await(provider.out, listening); at.path == "" {
				at.port = where
			}
			got := run(t, nil, tincan(t), "watch", "--count", "20", at.url("tcp"))
			if !regexp.MustCompile(`(?s)^cpu.load1=[\d.]+\nmem.free=\d+\nprovider.beats=\d+\n.*Z provider.beats=\d+\n`).MatchString(got) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestStateInBrowser has a page in Chromium follow a state by EventSource. The page comes from the same origin.
func TestStateInBrowser(t *testing.T) {
	provider, urls := notify(t, "http://127.0.0.1:0")
	provider.say("door=open\ncpu.0=12.5\n")
	to, err := url.Parse(urls[0])
	if err != nil {
		t.Fatal(err)
	}
	events := httputil.NewSingleHostReverseProxy(to)
	events.FlushInterval = -1
	told := make(chan string, 100)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.ServeFile(w, r, "browser/state.html")
		case "/events":
			events.ServeHTTP(w, r)
		case "/seen":
			told <- r.URL.Query().Get("table")
		}
	}))
	defer origin.CloseClientConnections()
	browser := start(t, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", origin.URL+"/?tell=/seen")
	defer browser.kill()
	seen := func(want string) {
		t.Helper()
		timeout := time.After(limit)
		for last := ""; ; {
			select {
			case last = <-told:
				if last == want {
					return
				}
			case <-timeout:
				t.Fatalf("the page shows %q, want %q", last, want)
			}
		}
	}
	seen("cpu.0 12.5\ndoor open")
	provider.say("door=closed\ncpu.0=\n")
	seen("door closed")
}
