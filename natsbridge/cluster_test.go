package natsbridge_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/natstest"
	"github.com/tincan-ipc/tincan/internal/porttest"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/service"
)

// soak runs the tests at full size.
var soak = os.Getenv("TINCAN_SOAK") == "1"

// sized is full where the tests run at full size.
func sized(small, full int) int {
	if soak {
		return full
	}
	return small
}

// questions are requests to the calculator, good and bad ones, and the same each time.
func questions() []service.CalcRequest {
	var all []service.CalcRequest
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		q := service.CalcRequest{Op: service.CalcOp(r.IntN(2)), String: r.IntN(2) == 0}
		for range 1 + r.IntN(8) {
			q.Ints = append(q.Ints, r.Uint32())
		}
		all = append(all, q)
	}
	return all
}

// answers asks all questions over conn, and gives what came, the refusals too.
func answers(t *testing.T, conn tincan.MessageConn) []string {
	t.Helper()
	var all []string
	for _, q := range questions() {
		result, err := service.Calc(t.Context(), conn, q, &service.CalcOptions{Timeout: patience})
		var refused *service.CalcError
		if errors.As(err, &refused) {
			result = "refused: " + refused.Reason
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, result)
	}
	return all
}

// TestCalcOverCluster: the same client and handler, over a Unix socket and then over three servers with two processes that
// serve; and when one server and one of the processes are killed under load, every request is answered rightly or fails by its deadline.
func TestCalcOverCluster(t *testing.T) {
	h, err := calcHandler()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tincan.ListenMessage(t.Context(), "unixpacket:"+filepath.Join(t.TempDir(), "calc.sock"))
	if err != nil {
		t.Skip(err) // a system without such sockets
	}
	during(t, func(ctx context.Context) error { return (&service.Server{}).ServeMessages(ctx, l, h) })
	local, err := tincan.DialMessage(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	want := answers(t, local)
	local.Close()

	cluster := natstest.Start(t, 3, "")
	url := cluster.URL("calc", "")
	handlers := []*process{run(t, "calc", url), run(t, "calc", url)}
	far, err := natsbridge.Dial(t.Context(), endpoint(t, url), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	waitUntil(t, "the server knows of those on others who serve", func() bool {
		_, err := service.Calc(t.Context(), far, questions()[0], &service.CalcOptions{Timeout: patience})
		return !errors.Is(err, syscall.ECONNREFUSED)
	})
	for i, got := range answers(t, far) {
		if got != want[i] {
			t.Errorf("question %d: %q over NATS, %q over a Unix socket", i, got, want[i])
		}
	}
	killUnderLoad(t, cluster, handlers)
}

// killUnderLoad asks from many goroutines while a server and a handler are killed.
func killUnderLoad(t *testing.T, cluster natstest.Cluster, handlers []*process) {
	const deadline = 10 * time.Second
	var right, failed, wrong, hung atomic.Int64
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for i := range 8 {
		nc, err := natsbridge.Connect(t.Context(), endpoint(t, cluster.URL("calc", "")), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = natsbridge.Close(nc, 0) })
		callers.Go(func() {
			for n := uint32(i); ; n += 8 {
				select {
				case <-stop:
					return
				default:
				}
				q := service.CalcRequest{Ints: []uint32{n, 1}}
				request, err := q.Append(nil)
				if err != nil {
					panic(err)
				}
				began := time.Now()
				reply, err := natsbridge.Request(t.Context(), nc, "calc", request, &natsbridge.RequestOptions{Timeout: deadline, Idempotent: true, Try: 250 * time.Millisecond})
				if time.Since(began) > deadline+5*time.Second {
					hung.Add(1)
				}
				if err != nil {
					failed.Add(1)
					continue
				}
				if sum, err := service.DecodeCalcReply(reply, false); err != nil || sum != fmt.Sprint(uint64(n)+1) {
					wrong.Add(1)
				} else {
					right.Add(1)
				}
			}
		})
	}
	enough := int64(sized(500, 20000))
	more := func() {
		target := right.Load() + enough
		waitUntil(t, "more was answered", func() bool { return right.Load() >= target })
	}
	more()
	cluster[1].Kill()
	more()
	handlers[0].kill()
	more()
	if err := cluster[1].Start(); err != nil {
		t.Error(err)
	}
	more()
	close(stop)
	callers.Wait()
	t.Logf("answered rightly %d, failed by their deadline %d", right.Load(), failed.Load())
	if wrong.Load() > 0 || hung.Load() > 0 {
		t.Errorf("answered wrongly %d, hung %d", wrong.Load(), hung.Load())
	}
}

// TestQueueOverCluster pushes messages through ZMTP on one side and pulls them on the other, over three servers, while servers and
// bridges are killed at random. Every message that a bridge has acknowledged arrives, accounted for one by one.
func TestQueueOverCluster(t *testing.T) {
	count := sized(5000, 100_000)
	cluster := natstest.Start(t, 3, "")
	url := cluster.URL("jobs", "ack-wait=2s")
	open(t, cluster.Connect(t), "jobs", &natsbridge.QueueOptions{AckWait: 2 * time.Second, MaxDeliver: 1000})

	push := pattern.NewPush(nil)
	defer push.Close()
	pull := pattern.NewPull(nil)
	out := listen(t, pull)
	var at []string
	for range 2 {
		port := porttest.Reserve(t)
		at = append(at, fmt.Sprintf("tcp://127.0.0.1:%d", port))
		if err := push.Dial(at[len(at)-1]); err != nil {
			t.Fatal(err)
		}
	}
	files := []string{filepath.Join(t.TempDir(), "0"), filepath.Join(t.TempDir(), "1")}
	bridges := []*bridgeProcess{
		{words: []string{"enqueue", url, at[0], files[0]}},
		{words: []string{"enqueue", url, at[1], files[1]}},
		{words: []string{"dequeue", url, out}},
		{words: []string{"dequeue", url, out}},
	}
	for _, b := range bridges {
		if err := b.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.process.kill() })
	}

	var ledger ledger
	ledger.init(count)
	during(t, func(ctx context.Context) error { return ledger.receive(ctx, pull) })
	killed := make(chan error, 1)
	go func() { killed <- killAtRandom(cluster, bridges, sized(4, 60)) }()
	ledger.pushAll(t, push, files)
	if err := <-killed; err != nil {
		t.Error(err)
	}
	waitFor(t, 4*patience, "every acknowledged message has arrived", func() bool { return ledger.missing() == 0 })
	for _, b := range bridges {
		b.process.kill()
	}
	js, err := jetstream.New(cluster.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	var dead jetstream.Stream
	waitUntil(t, "the stream of dead letters has a leader", func() bool {
		dead, err = js.Stream(t.Context(), "TINCAN_jobs_DEAD")
		return err == nil
	})
	if n := dead.CachedInfo().State.Msgs; n > 0 {
		t.Errorf("%d dead letters", n)
	}
	t.Logf("%d messages, pushed %d times, acknowledged %d times; each arrived; duplicates: %d", count, ledger.pushed, ledger.acked, ledger.duplicates.Load())
}

// A bridgeProcess is a bridge that is killed and started again.
type bridgeProcess struct {
	words   []string
	process *process
}

func (b *bridgeProcess) start() (err error) {
	b.process, err = launch(b.words...)
	return err
}

// killAtRandom kills servers and bridges, one at a time, and starts each again, for so many rounds.
func killAtRandom(cluster natstest.Cluster, bridges []*bridgeProcess, rounds int) error {
	r := rand.New(rand.NewPCG(3, 4))
	pause := func() { time.Sleep(time.Duration(100+r.IntN(400)) * time.Millisecond) } // a moment of the load, not a wait
	for i := range rounds {
		pause()
		if i%2 == 0 {
			s := cluster[r.IntN(len(cluster))]
			s.Kill()
			pause()
			if err := s.Start(); err != nil {
				return err
			}
			continue
		}
		b := bridges[r.IntN(len(bridges))]
		b.process.kill()
		pause()
		if err := b.start(); err != nil {
			return err
		}
	}
	return nil
}

// A ledger accounts for messages by number.
type ledger struct {
	mu            sync.Mutex // guards stored and came
	stored, came  []bool
	duplicates    atomic.Int64
	pushed, acked int
}

func (l *ledger) init(count int) { l.stored, l.came = make([]bool, count), make([]bool, count) }

func (l *ledger) receive(ctx context.Context, pull *pattern.Pull) error {
	for {
		parts, err := pull.Recv(ctx)
		if err != nil {
			return nil
		}
		n := binary.BigEndian.Uint64(parts[0])
		if len(parts) != 2 || string(parts[1]) != fmt.Sprint(n) {
			return fmt.Errorf("message %d arrived as %q", n, parts)
		}
		l.mu.Lock()
		if l.came[n] {
			l.duplicates.Add(1)
		}
		l.came[n] = true
		l.mu.Unlock()
	}
}

// The load, in messages a second.
const (
	pace      = 2000
	paceEvery = 50
)

// pushAll pushes every message, and again what no bridge has acknowledged: what was in one that was killed is lost.
func (l *ledger) pushAll(t *testing.T, push *pattern.Push, files []string) {
	for {
		var left []int
		for n, stored := range l.stored {
			if !stored {
				left = append(left, n)
			}
		}
		if len(left) == 0 {
			return
		}
		for _, n := range left {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if err := push.Send(ctx, binary.BigEndian.AppendUint64(nil, uint64(n)), fmt.Append(nil, n)); err != nil {
				t.Fatal(err)
			}
			cancel()
			if l.pushed++; l.pushed%paceEvery == 0 {
				time.Sleep(paceEvery * time.Second / pace) // the load is to last as long as servers and bridges are killed
			}
		}
		// Nothing more is acknowledged once that number has stood still for a while.
		for last, since := -1, time.Now(); time.Since(since) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
			l.readAcknowledged(t, files)
			if l.acked != last {
				last, since = l.acked, time.Now()
			}
			if !l.anyLeft() {
				return
			}
		}
	}
}

func (l *ledger) anyLeft() bool {
	for _, stored := range l.stored {
		if !stored {
			return true
		}
	}
	return false
}

// readAcknowledged reads what the bridges wrote down.
func (l *ledger) readAcknowledged(t *testing.T, files []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for ; len(b) >= 8; b = b[8:] {
			l.stored[binary.BigEndian.Uint64(b)] = true
			l.acked++
		}
	}
}

// missing is how many messages were acknowledged and have not arrived.
func (l *ledger) missing() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.stored {
		if l.stored[i] && !l.came[i] {
			n++
		}
	}
	return n
}
