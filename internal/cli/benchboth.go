package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/zmtp"
)

// serverPatience is how long the serving side may take to end before it is killed. It is met only when something is broken:
// on a loaded machine the end may take its time.
const serverPatience = 30 * time.Second

// A benchServer is the serving side as a process of its own, which ends with its standard input.
type benchServer struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when it has ended
}

// both starts the serving side, measures, and ends it.
func (r *benchRun) both(ctx context.Context) error {
	security, mechanism, err := r.bothMechanisms()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, bound, err := r.startServer(ctx, security)
	if err != nil {
		return err
	}
	dial := *r.endpoint
	dial.Host, dial.Port, dial.Path = bound.Host, bound.Port, bound.Path
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.ended:
			cancel(lostError(&dial, nil))
		case <-ctx.Done():
		}
	}()
	err = r.measure(ctx, &dial, mechanism)
	cancel(nil)
	<-watched
	s.stop()
	if err == nil && !s.cmd.ProcessState.Success() {
		return fmt.Errorf("the serving side ended badly: %v", s.cmd.ProcessState)
	}
	return err
}

// bothMechanisms gives the serving side's flags for security, and the measuring side's mechanism.
func (r *benchRun) bothMechanisms() (serving securityFlags, m zmtp.Mechanism, err error) {
	f := r.flags.security
	if f.serverKey.set || len(f.allow) > 0 {
		return f, nil, &usageError{
			problem: "--curve-server-key and --curve-allow are for one side alone",
			remedy:  "leave them out, or start each side by itself: --side serve and --side measure",
		}
	}
	if _, err := f.mechanism(true, false); err != nil {
		return f, nil, err
	}
	measuring := f
	if f.secretKey.set {
		measuring.serverKey = curveKeyFlag{key: zmtp.PublicKey(f.secretKey.key), set: true}
		measuring.secretKey = curveKeyFlag{}
	}
	m, err = measuring.mechanism(false, true)
	return f, m, err
}

// startServer runs this program as the serving side, and gives it and where it listens.
func (r *benchRun) startServer(ctx context.Context, security securityFlags) (*benchServer, *tincan.Endpoint, error) {
	args := []string{"bench", "--side=" + serveSide, "--end-with-input", "--size=" + strconv.FormatInt(int64(r.flags.size), 10)}
	if r.report.json {
		args = append(args, "--json")
	}
	if r.flags.drop {
		args = append(args, "--drop")
	}
	if security.plain != "" {
		args = append(args, "--plain="+security.plain)
	}
	if security.secretKey.set {
		path, err := writeSecret(security.secretKey.key)
		if err != nil {
			return nil, nil, err
		}
		defer os.Remove(path)
		args = append(args, "--curve-secret-key=@"+path)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, append(args, "--", r.work.name, r.endpoint.String())...)
	cmd.Args[0] = os.Args[0]
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, &localError{doing: "start the serving side", err: err}
	}
	s := &benchServer{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	listening := make(chan string, 1)
	go func() {
		defer close(s.ended)
		r.passOn(stderr, listening)
		_ = cmd.Wait() // its state tells
	}()
	select {
	case url := <-listening:
		e, err := tincan.ParseEndpoint(url)
		if err != nil {
			s.stop()
		}
		return s, e, err
	case <-s.ended:
		if status := cmd.ProcessState.ExitCode(); status > 0 {
			return nil, nil, &programError{name: "the serving side", status: status} // it has told why
		}
		return nil, nil, fmt.Errorf("the serving side ended before it listened: %v", cmd.ProcessState)
	case <-ctx.Done():
		s.stop()
		return nil, nil, context.Cause(ctx)
	}
}

// stop ends the serving side and waits for its end.
func (s *benchServer) stop() {
	_ = s.stdin.Close() // it may have ended already
	late := time.AfterFunc(serverPatience, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	<-s.ended
}

// passOn copies what the serving side says, but where it listens, which listening gets.
func (r *benchRun) passOn(stderr io.Reader, listening chan<- string) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if url, ok := listeningURL(line); ok {
			select {
			case listening <- url:
			default:
			}
		} else if line != "" {
			r.report.write([]byte(line))
		}
		if err != nil {
			return
		}
	}
}

// listeningURL reads the line, in words or as an event, that says where a server listens.
func listeningURL(line string) (url string, ok bool) {
	if url, ok = strings.CutPrefix(line, "listening on "); ok {
		return strings.TrimSpace(url), true
	}
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Event != "listening" {
		return "", false
	}
	return e.URL, true
}

// writeSecret puts a key in a file that this user alone can read: a command line is for everyone to see.
func writeSecret(key [32]byte) (path string, err error) {
	f, err := os.CreateTemp("", "tincan-bench-*")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(zmtp.EncodeKey(key) + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
