//go:build linux

package interop

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// buildExamples builds our programs of the four systems below, under their names here.
var buildExamples = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "examples")
	folders := []string{
		"notifications/publisher", "notifications/subscriber", "pipeline/producer", "pipeline/consumer",
		"workers/client", "workers/queue", "workers/worker", "request-reply/client", "request-reply/server",
	}
	for _, folder := range folders {
		name := strings.NewReplacer("/", "_", "-", "_").Replace(folder)
		err := build("..", "go", "build", "-o", filepath.Join(dir, name), "./examples/"+folder)
		if err != nil {
			return "", err
		}
	}
	return dir, nil
})

// speakers are the peers, and our own example programs.
var speakers = append([]zeromqPeer{
	{name: "tincan", program: func(t *testing.T, name string) []string {
		return []string{filepath.Join(built(t, buildExamples), name)}
	}},
}, zeromqPeers...)

// launch starts a program of a speaker.
func (s zeromqPeer) launch(t *testing.T, program string, words ...string) *process {
	t.Helper()
	return start(t, append(s.program(t, program), words...)...)
}

// listeningTwice is what a queue prints.
var listeningTwice = regexp.MustCompile(`listening on \S+\s+listening on (\S+)\s`)

// where waits until a program says that it listens. Ours do so on standard error.
func (p *process) where(said *regexp.Regexp) string {
	p.t.Helper()
	o := p.out
	if filepath.Base(filepath.Dir(p.argv[0])) == "examples" {
		o = p.err
	}
	return p.await(o, said)
}

// line matches a whole line.
func line(text string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(text) + `$`)
}

// TestNotifications has a publisher of each language tell subscribers of every language.
// Some come late; what they missed they are told, and others may hear it again then.
func TestNotifications(t *testing.T) {
	for _, publisher := range speakers {
		t.Run(publisher.name, func(t *testing.T) {
			t.Parallel()
			pub := publisher.launch(t, "notifications_publisher", "tcp://127.0.0.1:0")
			at := pub.where(listening)
			pub.say("weather sunny\nsports draw\nwind calm\n")
			var subs []*process
			for _, speaker := range speakers {
				subs = append(subs, speaker.launch(t, "notifications_subscriber", at, "weather", "wind"))
			}
			for _, sub := range subs { // the publisher has heard of both topics, in an order that is the subscriber's
				sub.await(sub.out, line("weather sunny"))
				sub.await(sub.out, line("wind calm"))
			}
			pub.say("traffic jam\nweather rain\nwind north\nweather snow\n")
			want := []string{"weather sunny", "wind calm", "weather rain", "wind north", "weather snow"}
			for _, sub := range subs {
				sub.await(sub.out, line("weather snow"))
				got := news(sub)
				slices.Sort(got[:min(2, len(got))])
				if !slices.Equal(got, want) {
					t.Errorf("%s: %q, want %q", sub, got, want)
				}
			}
			late := publisher.launch(t, "notifications_subscriber", at)
			for _, text := range []string{"weather snow", "sports draw", "traffic jam", "wind north"} {
				late.await(late.out, line(text))
			}
			pub.end()
			pub.wantStatus(0)
		})
	}
}

// news is what a subscriber has printed, without what was told twice.
func news(sub *process) []string {
	var heard []string
	last := map[string]string{}
	for text := range strings.Lines(sub.out.String()) {
		text = strings.TrimSuffix(text, "\n")
		topic, _, _ := strings.Cut(text, " ")
		if last[topic] != text {
			heard = append(heard, text)
		}
		last[topic] = text
	}
	return heard
}

// TestPipeline has a consumer of each language collect from producers of every language
// at once: all that they send, and in the order of each.
func TestPipeline(t *testing.T) {
	const each = 2000
	for _, consumer := range speakers {
		t.Run(consumer.name, func(t *testing.T) {
			t.Parallel()
			sink := consumer.launch(t, "pipeline_consumer", "tcp://127.0.0.1:0")
			at := sink.where(listening)
			var producers []*process
			for _, speaker := range speakers {
				var input strings.Builder
				for i := range each {
					fmt.Fprintf(&input, "from %s %d\n", speaker.name, i)
				}
				argv := append(speaker.program(t, "pipeline_producer"), at)
				producers = append(producers, launch(t, "", strings.NewReader(input.String()), argv))
			}
			for i, producer := range producers {
				producer.wantStatus(0)
				sink.await(sink.out, line(fmt.Sprintf("from %s %d", speakers[i].name, each-1)))
			}
			next := map[string]int{}
			for text := range strings.Lines(sink.out.String()) {
				var name string
				var i int
				if _, err := fmt.Sscanf(text, "from %s %d", &name, &i); err != nil {
					continue // listening on
				}
				if i != next[name] {
					t.Fatalf("message %d from %s, want %d", i, name, next[name])
				}
				next[name]++
			}
			for _, speaker := range speakers {
				if next[speaker.name] != each {
					t.Errorf("%d messages from %s, want %d", next[speaker.name], speaker.name, each)
				}
			}
		})
	}
}

// TestWorkers has a queue of each language stand between clients and workers of every
// language. Each client must have its own replies, in order, and each worker its share.
func TestWorkers(t *testing.T) {
	for _, queue := range speakers {
		t.Run(queue.name, func(t *testing.T) {
			t.Parallel()
			q := queue.launch(t, "workers_queue", "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
			front, back := q.where(listening), q.where(listeningTwice)
			var workers []*process
			for _, speaker := range speakers {
				workers = append(workers, speaker.launch(t, "workers_worker", back))
			}
			// The queue knows only the workers that have come: ask until all have.
			first := speakers[1].launch(t, "workers_client", front)
			for i := 0; slices.ContainsFunc(workers, func(w *process) bool { return w.out.String() == "" }); i++ {
				first.say(fmt.Sprintf("first %d\n", i))
				first.await(first.out, line(fmt.Sprintf("FIRST %d", i)))
			}
			var clients []*process
			const each = 50
			for _, speaker := range speakers {
				var input strings.Builder
				for i := range each {
					fmt.Fprintf(&input, "for %s %d\n", speaker.name, i)
				}
				argv := append(speaker.program(t, "workers_client"), front)
				clients = append(clients, launch(t, "", strings.NewReader(input.String()), argv))
			}
			for i, client := range clients {
				client.wantStatus(0)
				var want strings.Builder
				for k := range each {
					fmt.Fprintf(&want, "FOR %s %d\n", strings.ToUpper(speakers[i].name), k)
				}
				wantSame(t, client.out.String(), want.String())
			}
			for _, worker := range workers {
				if n := strings.Count(worker.out.String(), "FOR "); n == 0 {
					t.Errorf("%s: has done nothing of %d requests", worker, each*len(clients))
				}
			}
		})
	}
}

// TestRequestReply has every client ask every server.
func TestRequestReply(t *testing.T) {
	for _, server := range speakers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			at := server.launch(t, "request_reply_server", "tcp://127.0.0.1:0").where(listening)
			for _, client := range speakers {
				t.Run("from "+client.name, func(t *testing.T) {
					argv := append(client.program(t, "request_reply_client"), at)
					wantSame(t, run(t, nil, append(argv, "1", "-2", "+30")...), "Result: 29\n")
					for _, bad := range []string{"one", "1.5", "9223372036854775807"} {
						p := launch(t, "", strings.NewReader(""), append(argv, "1", bad))
						p.wantStatus(1)
						wantSame(t, p.out.String(), "")
						if p.err.String() == "" {
							t.Error("the client is silent about the error")
						}
					}
				})
			}
		})
	}
}
