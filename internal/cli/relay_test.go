package cli

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/internal/porttest"
)

// relayServer starts a relay and waits until it listens.
func relayServer(t *testing.T, args ...string) *background {
	t.Helper()
	return server(t, "tincan", append([]string{"relay"}, args...)...)
}

// dialTCP connects to a URL until the test ends.
func dialTCP(t *testing.T, url string) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "tcp://"), testPatience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * testPatience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// bulk is how much the tests of bulk send: a whole gigabyte with TINCAN_SOAK=1.
func bulk() int64 {
	switch {
	case os.Getenv("TINCAN_SOAK") != "":
		return 1 << 30
	case testing.Short() || raceDetector:
		return 32 << 20
	}
	return 256 << 20
}

// pour writes size bytes, each block of them another, and gives their hash.
func pour(t *testing.T, w io.Writer, size int64) string {
	t.Helper()
	sum, block := sha256.New(), make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(block)) {
		for i := 0; i < len(block); i += 512 {
			block[i], block[i+1] = byte(at>>20), byte(i>>9)
		}
		sum.Write(block)
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// drainAll reads r to its end and gives the hash of what came.
func drainAll(r io.Reader) (string, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, r)
	return fmt.Sprintf("%x", sum.Sum(nil)), err
}

// TestRelayOneSideEndsFirst: the other uploads on, and every byte arrives.
func TestRelayOneSideEndsFirst(t *testing.T) {
	received := make(chan string, 1)
	serve := func(c *net.TCPConn) error {
		_, err := io.WriteString(c, "no more from me\n")
		err = errors.Join(err, c.CloseWrite())
		sum, readErr := drainAll(c)
		received <- sum
		return errors.Join(err, readErr)
	}
	check := func(t *testing.T, in io.Writer, out io.Reader, end func() error) {
		t.Helper()
		if got, err := io.ReadAll(out); err != nil || string(got) != "no more from me\n" {
			t.Errorf("got %q, %v", got, err)
		}
		sent := pour(t, in, bulk())
		if err := end(); err != nil {
			t.Error(err)
		}
		if <-received != sent {
			t.Error("other bytes arrived")
		}
	}
	t.Run("listening", func(t *testing.T) {
		c := dialTCP(t, relayServer(t, "tcp://127.0.0.1:0", peer(t, serve)).url)
		check(t, c, c, c.CloseWrite)
	})
	t.Run("single", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), "tincan", "relay", "stdio:", peer(t, serve))
		in, out := pipes(t, cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		check(t, in, out, func() error { return errors.Join(in.Close(), cmd.Wait()) })
	})
}

// TestRelayResetMidway: what came before is passed on, then the reset, and the side is named.
func TestRelayResetMidway(t *testing.T) {
	t.Parallel()
	const half = "half an ans"
	serve := func(c *net.TCPConn) error {
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return err
		}
		_, err := io.WriteString(c, half)
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 1)) // so that what was sent has arrived
		}
		return errors.Join(err, c.SetLinger(0))
	}
	t.Run("listening", func(t *testing.T) {
		url := peer(t, serve)
		cmd := exec.CommandContext(t.Context(), "tincan", "relay", "--json", "tcp://127.0.0.1:0", url)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		events := json.NewDecoder(bufio.NewReader(stderr))
		c := dialTCP(t, awaitEvent(t, events, "listening").URL)
		exchangeHalf(t, c, c, half)
		if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("then came %d bytes, %v; want a reset", n, err)
		}
		if e := awaitEvent(t, events, "closed"); e.Side != "to" || e.Kind != "reset" || e.URL != url || *e.Received != 2 || *e.Sent != int64(len(half)) {
			t.Errorf("the event is %+v, received %d, sent %d", e, *e.Received, *e.Sent)
		}
	})
	t.Run("single", func(t *testing.T) {
		url := peer(t, serve)
		cmd := exec.CommandContext(t.Context(), "tincan", "relay", "stdio:", url)
		in, out := pipes(t, cmd)
		defer in.Close()
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exchangeHalf(t, in, out, half)
		if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
			t.Errorf("then came %q, %v", rest, err)
		}
		_ = cmd.Wait()
		if code := exitStatus(cmd.ProcessState); code != 5 || !strings.HasPrefix(stderr.String(), "tincan: "+url+" reset the connection: ") {
			t.Errorf("exit %d: %s", code, &stderr)
		}
	})
}

// exchangeHalf asks for the half of an answer, and for the reset behind it.
func exchangeHalf(t *testing.T, in io.Writer, out io.Reader, half string) {
	t.Helper()
	if _, err := io.WriteString(in, "?"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(half))
	if _, err := io.ReadFull(out, got); err != nil || string(got) != half {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := io.WriteString(in, "!"); err != nil {
		t.Fatal(err)
	}
}

// awaitEvent reads events until one of a name.
func awaitEvent(t *testing.T, events *json.Decoder, name string) event {
	t.Helper()
	for {
		var e event
		if err := events.Decode(&e); err != nil {
			t.Fatalf("waiting for %s: %v", name, err)
		}
		if e.Event == name {
			return e
		}
	}
}

// TestRelayClientResets: the reset is passed on to TO.
func TestRelayClientResets(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	url := peer(t, func(c *net.TCPConn) error {
		_, err := io.Copy(io.Discard, c)
		ended <- err
		return nil
	})
	c := dialTCP(t, relayServer(t, "tcp://127.0.0.1:0", url).url)
	if _, err := io.WriteString(c, "half a questi"); err != nil {
		t.Fatal(err)
	}
	reset(c)
	if err := <-ended; err == nil {
		t.Error("TO saw an orderly end")
	}
}

// TestRelayRetry: what clients send while TO is down arrives when it is up, and a signal is immediate meanwhile.
func TestRelayRetry(t *testing.T) {
	t.Parallel()
	down := 3 * time.Second
	if testing.Short() {
		down = 500 * time.Millisecond
	}
	address := "127.0.0.1:" + strconv.Itoa(porttest.Reserve(t))
	relay := relayServer(t, "--drain", "1m", "--retry", "--backoff", "20ms..100ms", "tcp://127.0.0.1:0", "tcp://"+address)
	waits := dialTCP(t, relay.url)
	leaves := dialTCP(t, relay.url)
	for _, c := range []*net.TCPConn{waits, leaves} {
		if _, err := io.WriteString(c, "before it was up"); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	_ = leaves.Close()
	time.Sleep(down) // what is tested, not waited for
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for range 2 {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "before it was up" {
			t.Errorf("got %q, %v", got, err)
		}
		_, _ = io.WriteString(c, "and the answer")
		_ = c.Close()
	}
	if got, err := io.ReadAll(waits); err != nil || string(got) != "and the answer" {
		t.Errorf("the client got %q, %v", got, err)
	}
	_ = ln.Close()
	stuck := dialTCP(t, relay.url)
	if _, err := io.WriteString(stuck, "x"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := relay.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stuck)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v to end a client whose TO is down", took)
	}
}

// TestRelayInterruptedTransfer: Ctrl-C is immediate while TO is down, and while nothing passes.
func TestRelayInterruptedTransfer(t *testing.T) {
	t.Parallel()
	silent := peer(t, func(c *net.TCPConn) error {
		_, _ = io.Copy(io.Discard, c)
		return nil
	})
	for _, args := range [][]string{{"--retry", "stdio:", "unix:nobody.sock"}, {"stdio:", silent}} {
		cmd := exec.CommandContext(t.Context(), "tincan", append([]string{"relay", "--trace"}, args...)...)
		in, _ := pipes(t, cmd)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(stderr).ReadString('\n'); err != nil { // it has begun
			t.Fatal(err)
		}
		start := time.Now()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, stderr)
		_ = cmd.Wait()
		_ = in.Close()
		if code, took := exitStatus(cmd.ProcessState), time.Since(start); code != 130 || took > 20*time.Second {
			t.Errorf("%v: exit %d after %v", args, code, took)
		}
	}
}

// TestRelayDrainsWhoIsDialledFor: a client that was accepted is in flight, though TO has not answered yet when the signal comes.
func TestRelayDrainsWhoIsDialledFor(t *testing.T) {
	t.Parallel()
	asked, stopping := make(chan struct{}), make(chan struct{})
	proxy := peer(t, func(c *net.TCPConn) error {
		in := bufio.NewReader(c)
		if _, err := http.ReadRequest(in); err != nil {
			return err
		}
		close(asked)
		<-stopping
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		request, readErr := io.ReadAll(in)
		_, writeErr := c.Write(bytes.ToUpper(request))
		return errors.Join(err, readErr, writeErr)
	})
	relay := relayServer(t, "--proxy", strings.Replace(proxy, "tcp:", "http:", 1), "tcp://127.0.0.1:0", "tcp://192.0.2.1:9")
	c := dialTCP(t, relay.url)
	_, err := io.WriteString(c, "in flight")
	if err = errors.Join(err, c.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := relay.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(testPatience); time.Now().Before(end); { // until it accepts nobody any more
		late, err := net.Dial("tcp", c.RemoteAddr().String())
		if err != nil {
			break
		}
		_ = late.Close()
	}
	close(stopping)
	if got, err := io.ReadAll(c); err != nil || string(got) != "IN FLIGHT" {
		t.Errorf("the client got %q, %v", got, err)
	}
}

// TestRelayRates: what one connection passes takes its time, and so does what all pass.
func TestRelayRates(t *testing.T) {
	t.Parallel()
	discard := server(t, "tincan", "serve", "discard", "tcp://127.0.0.1:0")
	for _, test := range []struct {
		flag    string
		clients int
		slow    bool
	}{{"--rate", 1, true}, {"--rate", 4, true}, {"--rate-total", 4, true}, {"--timeout", 1, false}} {
		value, each := "100kB/s", 60_000
		if !test.slow { // they would take 20 s
			value, each = "1m", 2_000_000
		}
		if test.flag == "--rate-total" {
			each /= test.clients
		}
		relay := relayServer(t, test.flag, value, "tcp://127.0.0.1:0", discard.url)
		start, done := time.Now(), make(chan error)
		for range test.clients {
			go func() {
				c, err := net.Dial("tcp", relay.address())
				if err == nil {
					_, err = c.Write(make([]byte, each))
					err = errors.Join(err, c.(*net.TCPConn).CloseWrite())
					_, readErr := io.Copy(io.Discard, c) // until all has arrived
					err = errors.Join(err, readErr, c.Close())
				}
				done <- err
			}()
		}
		for range test.clients {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); test.slow && took < 450*time.Millisecond || took > 10*time.Second {
			t.Errorf("%s %s: %d times %d bytes took %v", test.flag, value, test.clients, each, took)
		}
	}
}

// TestRelayUsage: each mistake gets one clear line, a hint, and exit code 2.
func TestRelayUsage(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"", "tcp://:0", "tcp://:0 127.0.0.1:80", "tcp://:0 tpc://127.0.0.1:80", "tcp://:0 mem:x",
		"tcp://:0 udp://:9", "udp://:0 tcp://:9", "stdio: udp://:9", "udp://:0 stdio:", "udp://:0 exec -- cat", "tcp://:0 tcp://:9 udp://:9",
		"--frame line tcp://:0 tcp://:9", "--frame line udp://:0 udp://:9", "--frame lines udp://:0 tcp://:9", "--frame line stdio: stdio:",
		"stdio: stdio:", "fd:3 fd:3", "stdio:x tcp://:9", "fd: tcp://:9", "fd:x tcp://:9", "fd:-1 tcp://:9", "tcp://:0 systemd:x",
		"file: tcp://:9", "file:x?append tcp://:9", "tcp://:0 file:x?mode=8", "tcp://:0 file:x?mode=1777", "tcp://:0 file:x?appendix", "tcp://:0 file:%zz",
		"tcp://:0 exec", "tcp://:0 exec cat", "tcp://:0 exec --", "tcp://:0 -- cat", "tcp://:0 -- exec cat", "exec -- cat", "exec stdio:", "tcp://:0 tcp://:9 exec -- cat",
		"tcp://:0 tcp://:9 -- cat", "tcp://:0 tcp://:9 stdio:", "tcp://:0 file:x file:y",
		"--pty tcp://:0 tcp://:9", "--balance tcp://:0 tcp://:9", "--retry tcp://:0 file:x", "--backoff 1s tcp://:0 stdio:", "--backoff 1s tcp://:0 tcp://:9", "tcp://:0 -", "- tcp://:9", "--connect-timeout 1s tcp://:0 exec -- cat",
		"--max-conns 1 stdio: tcp://:9", "--drain 1s stdio: tcp://:9", "--max-conns-per-source 1 file:x tcp://:9",
		"--rate fast tcp://:0 tcp://:9", "--rate-total 0 tcp://:0 tcp://:9", "--drain -1s tcp://:0 tcp://:9", "--nonsense tcp://:0 tcp://:9",
		"--metrics udp://:0 tcp://:0 tcp://:9", "--metrics :9090 tcp://:0 tcp://:9", "--timeout 0 tcp://:0 tcp://:9",
	} {
		got := run(t, "", append([]string{"relay"}, strings.Fields(args)...)...)
		lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
		if got.code != 2 || got.stdout != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], "tincan: ") || !strings.HasPrefix(lines[1], "hint: ") {
			t.Errorf("tincan relay %s: exit %d, stdout %q, stderr:\n%s", args, got.code, got.stdout, got.stderr)
		}
	}
}
