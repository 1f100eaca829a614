package natsbridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/service"
)

// partyVariable makes a process of this binary one party of a test, of which it holds the words.
const partyVariable = "TINCAN_NATS_TEST_PARTY"

// parties are what such a process does until its input ends.
var parties = map[string]func(ctx context.Context, args []string) error{
	"calc": serveCalc, "enqueue": enqueue, "dequeue": dequeue,
}

// party runs a party and ends the process, where it was started as one.
func party() {
	text := os.Getenv(partyVariable)
	if text == "" {
		return
	}
	var words []string
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := parties[words[0]](ctx, words[1:]); err != nil {
		fmt.Fprintln(os.Stderr, words[0]+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A process is a running party.
type process struct {
	cmd   *exec.Cmd
	input io.Closer
}

// run starts a party and waits until it is ready; it ends with the test.
func run(t *testing.T, words ...string) *process {
	t.Helper()
	p, err := launch(words...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func launch(words ...string) (*process, error) {
	text, err := json.Marshal(words)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), partyVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = os.Stderr
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		p.kill()
		return nil, fmt.Errorf("%q: %w", words, err)
	}
	return p, nil
}

// kill ends it by SIGKILL. A second call does nothing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.input.Close()
}

func ready() { fmt.Println("ready") }

func calcHandler() (service.MessageHandler, error) {
	calc, _ := service.Lookup("calc")
	return calc.Message(tincan.Options{})
}

// serveCalc URL
func serveCalc(ctx context.Context, args []string) error {
	e, err := natsbridge.ParseEndpoint(args[0])
	if err != nil {
		return err
	}
	nc, err := natsbridge.Connect(ctx, e, nil)
	if err != nil {
		return err
	}
	h, err := calcHandler()
	if err != nil {
		return err
	}
	return natsbridge.Serve(ctx, nc, e.Subject, h, &natsbridge.ServeOptions{Ready: ready})
}

func openQueue(ctx context.Context, url string) (*natsbridge.Queue, error) {
	e, err := natsbridge.ParseEndpoint(url)
	if err != nil {
		return nil, err
	}
	nc, err := natsbridge.Connect(ctx, e, nil)
	if err != nil {
		return nil, err
	}
	return natsbridge.OpenQueue(ctx, nc, e.Subject, &natsbridge.QueueOptions{AckWait: e.Options.AckWait, MaxDeliver: 1000})
}

// enqueue URL ENDPOINT FILE puts what is pushed to ENDPOINT into the queue, and writes the first 8 bytes of each message to FILE once it is stored.
func enqueue(ctx context.Context, args []string) error {
	q, err := openQueue(ctx, args[0])
	if err != nil {
		return err
	}
	stored, err := os.OpenFile(args[2], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	b := &natsbridge.Bridge{OnStored: func(parts [][]byte) {
		if _, err := stored.Write(parts[0][:8]); err != nil {
			panic(err)
		}
	}}
	from := pattern.NewPull(b.SocketOptions(nil))
	defer from.Close()
	if _, err := from.Listen(ctx, args[1]); err != nil {
		return err
	}
	ready()
	return b.Enqueue(ctx, from, q, patience)
}

// dequeue URL ENDPOINT pushes what the queue gives to ENDPOINT.
func dequeue(ctx context.Context, args []string) error {
	q, err := openQueue(ctx, args[0])
	if err != nil {
		return err
	}
	b := &natsbridge.Bridge{}
	to := pattern.NewPush(b.SocketOptions(nil))
	defer to.Close()
	if err := to.Dial(args[1]); err != nil {
		return err
	}
	ready()
	return b.Dequeue(ctx, q, to, patience)
}
