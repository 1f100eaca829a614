package cli

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/internal/natstest"
)

// testPatience bounds every wait of a test: far more than what is waited for ever takes.
const testPatience = 30 * time.Second

func TestMain(m *testing.M) {
	natstest.Child()
	if raceDetector {
		_ = os.Setenv("GORACE", noSleep)
	}
	testscript.Main(leaktest.Checked{M: m}, map[string]func(){"tincan": func() { os.Exit(Main()) }})
}

// noSleep spares each run of the command the second that the race detector waits at its end.
const noSleep = "atexit_sleep_ms=0"

// TestScripts runs testdata/script through the real command. Beside
// testscript's own commands there are
//
//	exits CODE PROGRAM ARG...   runs a program, which must end with CODE
//	start NAME PROGRAM ARG...   starts one in the background, its output in NAME.out and NAME.err,
//	                            its input the file NAME.in where there is one
//	listening NAME VAR...       waits until NAME has said where it listens, once for each VAR
//	waitfor FILE REGEXP         waits until the file matches
//	gone FILE                   waits until the file isn't there
//	signal NAME SIGNAL          sends INT or TERM
//	ended NAME CODE             waits for its end, which must be with CODE
//	scrape PATH REGEXP...       waits until the metrics on a Unix socket match
func TestScripts(t *testing.T) { runScripts(t, "script", nil) }

// TestNATSScripts runs testdata/nats in the same way, with the address of a NATS server in $NATS.
func TestNATSScripts(t *testing.T) {
	server := natstest.Start(t, 1, "")[0]
	runScripts(t, "nats", map[string]string{"NATS": server.Address()})
}

func runScripts(t *testing.T, folder string, variables map[string]string) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", folder),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", noSleep)
			for name, value := range variables {
				env.Setenv(name, value)
			}
			env.Values[procsKey{}] = &procs{byName: map[string]*proc{}}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "start": cmdStart, "listening": cmdListening,
			"waitfor": cmdWaitfor, "gone": cmdGone, "signal": cmdSignal, "ended": cmdEnded,
			"scrape": cmdScrape,
		},
	})
}

// procsKey is where a script keeps its procs.
type procsKey struct{}

// procs are the background processes of one script.
type procs struct{ byName map[string]*proc }

// A proc is one of them.
type proc struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended, and code is set
	code int
}

func (p *proc) wait() {
	_ = p.cmd.Wait() // the status tells
	p.code = exitStatus(p.cmd.ProcessState)
	close(p.done)
}

// exitStatus is as a shell has it.
func exitStatus(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

func process(ts *testscript.TestScript, name string) *proc {
	p := ts.Value(procsKey{}).(*procs).byName[name]
	if p == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return p
}

func needs(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "exits CODE PROGRAM ARG...")
	var exit *exec.ExitError
	got := 0
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exitStatus(exit.ProcessState)
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || got != want {
		ts.Fatalf("exit code is %d, want %s", got, args[0])
	}
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "start NAME PROGRAM ARG...")
	name := args[0]
	program, err := exec.LookPath(args[1])
	ts.Check(err)
	cmd := exec.Command(program, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "WORK=" + ts.Getenv("WORK"), "HOME=" + ts.Getenv("HOME"), "GORACE=" + noSleep}
	if in, err := os.Open(ts.MkAbs(name + ".in")); err == nil {
		defer in.Close()
		cmd.Stdin = in
	}
	stdout, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	defer stdout.Close()
	stderr, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	ts.Check(cmd.Start())
	p := &proc{cmd: cmd, done: make(chan struct{})}
	go p.wait()
	ts.Value(procsKey{}).(*procs).byName[name] = p
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-p.done
		ts.Logf("[%s ended with %d]\n%s", name, p.code, ts.ReadFile(name+".err"))
	})
}

var listeningLine = regexp.MustCompile(`(?m)^listening on (.*)\n|"event":"listening","url":"([^"]*)"`)

func cmdListening(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "listening NAME VAR...")
	p := process(ts, args[0])
	var found [][][]byte
	awaitThat(ts, args[0]+" to listen", func() bool {
		found = listeningLine.FindAllSubmatch([]byte(ts.ReadFile(args[0]+".err")), -1)
		select {
		case <-p.done:
			if len(found) < len(args)-1 {
				ts.Fatalf("%s ended with %d: %s", args[0], p.code, ts.ReadFile(args[0]+".err"))
			}
		default:
		}
		return len(found) >= len(args)-1
	})
	for i, name := range args[1:] {
		ts.Setenv(name, string(bytes.Join(found[i][1:], nil)))
	}
}

func cmdWaitfor(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "waitfor FILE REGEXP")
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	awaitThat(ts, args[0]+" to match "+args[1], func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && re.Match(b)
	})
}

func cmdGone(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 1, "gone FILE")
	awaitThat(ts, args[0]+" to go", func() bool {
		_, err := os.Lstat(ts.MkAbs(args[0]))
		return errors.Is(err, os.ErrNotExist)
	})
}

func awaitThat(ts *testscript.TestScript, what string, done func() bool) {
	poll(done, func() { ts.Fatalf("waited in vain for %s", what) })
}

// poll waits for what files and other processes do, which can't be waited on in a way that every system has. It calls
// late, which is to end the test, when that has taken too long.
func poll(done func() bool, late func()) {
	for deadline := time.Now().Add(testPatience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			late()
		}
	}
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "signal NAME INT|TERM")
	sig, ok := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[strings.ToUpper(args[1])]
	if !ok {
		ts.Fatalf("unknown signal %s", args[1])
	}
	ts.Check(process(ts, args[0]).cmd.Process.Signal(sig))
}

func cmdEnded(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "ended NAME CODE")
	p := process(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(testPatience):
		ts.Fatalf("%s goes on", args[0])
	}
	if strconv.Itoa(p.code) != args[1] {
		ts.Fatalf("%s ended with %d, want %s: %s", args[0], p.code, args[1], ts.ReadFile(args[0]+".err"))
	}
}
