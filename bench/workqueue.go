package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan/natsbridge"
)

const (
	// jobPuts is how many jobs are on their way to be stored at once: what package natsbridge has where nothing is said.
	jobPuts = natsbridge.DefaultUnacked
	// jobHandlers is how many jobs the worker has at once, and asks for.
	jobHandlers = 64
	// jobWindow is how many jobs may be put and not done.
	jobWindow = 4 * jobPuts
)

// queueOf has who puts for its server; its client is the worker. It prints the jobs a second, in thousands, or where so many are
// put a second the delays until they are handed out, in microseconds.
func queueOf(o options, library string, rate int) contender {
	return stored(contender{
		name:   library,
		server: func(at address) command { return goParty("queue-put", library, at.String(), strconv.Itoa(rate)) },
		client: func(at address) command {
			return goParty("queue-work", library, at.String(), strconv.Itoa(rate), o.seconds())
		},
	})
}

// A workQueue keeps jobs until a worker has done them. What it opens ends with the process.
type workQueue struct {
	// put gives what returns when a job is stored. Many goroutines may call that at once.
	put func(ctx context.Context, at address) (send, error)
	// work hands jobs to handle and acknowledges each when that returns, until something fails.
	work func(ctx context.Context, at address, handle func(job []byte)) error
}

// workQueues are known by these names.
var workQueues = map[string]workQueue{
	"NATS":      {natsPut, natsFetch},
	natsConsume: {natsPut, natsConsumeJobs},
	natsBare:    {natsPutBare, natsFetch},
	bridged:     {bridgedPut, bridgedWork},
}

// openQueue reads LIBRARY URL RATE.
func openQueue(args []string) (q workQueue, at address, rate int, err error) {
	q, ok := workQueues[args[0]]
	if !ok {
		return q, at, 0, fmt.Errorf("no such work queue: %s", args[0])
	}
	if at, err = parseAddress(args[1]); err == nil {
		rate, err = strconv.Atoi(args[2])
	}
	return q, at, rate, err
}

// A job has its number and when it was put, in nanoseconds since the Unix epoch; the rest is filled.
const jobSize = 64

func setPut(job []byte, at int64) { binary.NativeEndian.PutUint64(job[8:], uint64(at)) }

func putOf(job []byte) int64 { return int64(binary.NativeEndian.Uint64(job[8:])) }

// putJobs LIBRARY URL RATE puts as fast as jobs are stored and done, or so many a second.
func putJobs(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	q, at, rate, err := openQueue(args)
	if err != nil {
		return err
	}
	p, err := listenPace(ctx, at, jobWindow)
	if err != nil {
		return err
	}
	put, err := q.put(ctx, at)
	if err != nil {
		return err
	}
	numbers, failed := make(chan uint64), make(chan error, jobPuts)
	for range jobPuts {
		go func() {
			job := make([]byte, jobSize)
			for n := range numbers {
				setNumber(job, n)
				setPut(job, time.Now().UnixNano())
				if err := put(job); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return untilDone(ctx, func() error {
		awaitTurn := p.turns(rate)
		for n := uint64(0); ; n++ {
			awaitTurn(n)
			select {
			case numbers <- n:
			case err := <-failed:
				return err
			}
		}
	})
}

// workOnJobs LIBRARY URL RATE SECONDS
func workOnJobs(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errUsage
	}
	q, at, rate, err := openQueue(args)
	if err != nil {
		return err
	}
	_, limit, err := parseLoad(args[2:])
	if err != nil {
		return err
	}
	r, err := dialPace(ctx, at, 1)
	if err != nil {
		return err
	}
	var (
		done   doneJobs
		d      delays
		failed = make(chan error, 1)
		fail   = func(err error) {
			select {
			case failed <- err:
			default: // one will do
			}
		}
	)
	r.had(0, 0)
	go func() {
		fail(q.work(ctx, at, func(job []byte) {
			n, err := done.add(job)
			if err != nil {
				fail(err)
			}
			if n%countEvery == 0 || n == 1 {
				r.had(0, n)
			}
			if rate > 0 {
				d.note(putOf(job))
			}
		}))
	}()
	if err := r.awaitAll(failed); err != nil {
		return err
	}
	if rate > 0 {
		median, slow, err := d.measure(limit, failed)
		if err == nil {
			fmt.Println(median, slow)
		}
		return err
	}
	jobs, err := countPerSecond(limit, done.total, failed)
	if err == nil {
		err = mustBeAcknowledged(ctx, at)
	}
	if err == nil {
		fmt.Println(jobs / 1e3)
	}
	return err
}

// doneJobs knows the jobs that were done by their numbers. Its methods may be called at once.
type doneJobs struct {
	mu    sync.Mutex // guards what follows
	seen  []uint64   // a bit for each number
	count uint64
}

// add counts a job, and fails where it isn't whole or was done before: nothing in these loads is to be delivered again.
func (d *doneJobs) add(job []byte) (count uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if len(job) != jobSize {
		return d.count, fmt.Errorf("a job of %d bytes, want %d", len(job), jobSize)
	}
	n := numberOf(job)
	if n >= d.count+jobWindow+jobPuts {
		return d.count, fmt.Errorf("job %d came when %d were done", n, d.count)
	}
	for n/64 >= uint64(len(d.seen)) {
		d.seen = append(d.seen, 0)
	}
	bit := uint64(1) << (n % 64)
	if d.seen[n/64]&bit != 0 {
		err = fmt.Errorf("job %d came twice", n)
	}
	d.seen[n/64] |= bit
	return d.count, err
}

func (d *doneJobs) total() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// mustBeAcknowledged fails where the server waits for more acknowledgements than can be under way.
func mustBeAcknowledged(ctx context.Context, at address) error {
	consumer, _, err := openJobs(ctx, at)
	if err != nil {
		return err
	}
	info, err := consumer.Info(ctx)
	if err == nil && info.NumAckPending > 4*jobHandlers {
		err = errors.New("jobs that were done are not acknowledged")
	}
	return err
}
