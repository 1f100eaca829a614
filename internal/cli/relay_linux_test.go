package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/tincan-ipc/tincan"
)

// descriptors counts what a process has open.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// awaitDescriptors waits until a process has as many open as are enough.
func awaitDescriptors(t *testing.T, pid int, enough func(n int) bool) {
	t.Helper()
	n := 0
	poll(func() bool {
		n = descriptors(t, pid)
		return enough(n)
	}, func() { t.Fatalf("%d descriptors are open", n) })
}

// TestRelayBothEndAtOnce: nothing is left of such connections.
func TestRelayBothEndAtOnce(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	relay := relayServer(t, "--drain", "1m", "--metrics", "unix:"+filepath.Join(t.TempDir(), "m"), "tcp://127.0.0.1:0", "tcp://"+ln.Addr().String())
	before := 0
	for round := range 50 {
		c := dialTCP(t, relay.url)
		p, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		for _, end := range []net.Conn{c, p} {
			both.Go(func() {
				_, _ = io.WriteString(end, "bye")
				_ = end.(*net.TCPConn).CloseWrite()
				if got, err := io.ReadAll(end); err != nil || string(got) != "bye" {
					t.Errorf("got %q, %v", got, err)
				}
				_ = end.Close()
			})
		}
		both.Wait()
		if round == 0 { // what is opened once and kept
			before = descriptors(t, relay.Process.Pid)
		}
	}
	awaitDescriptors(t, relay.Process.Pid, func(n int) bool { return n <= before })
	start := time.Now()
	if err := errors.Join(relay.Process.Signal(os.Interrupt), relay.Wait()); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 20*time.Second { // a connection that is left would be drained
		t.Errorf("the end took %v", took)
	}
}

// TestRelayScarceDescriptors: with 64 descriptors and 500 clients the relay lives and rests. Nobody is turned away:
// each is served when those before have gone.
func TestRelayScarceDescriptors(t *testing.T) {
	echo := server(t, "tincan", "serve", "echo", "tcp://127.0.0.1:0")
	relay := server(t, "sh", "-c", "ulimit -n 64; exec tincan relay tcp://127.0.0.1:0 "+echo.url)
	clients := dialMany(t, relay.address(), 500)
	before := cpuTime(t, relay.Process.Pid)
	time.Sleep(time.Second) // in which it must not burn what is measured
	if used := cpuTime(t, relay.Process.Pid) - before; used > 300*time.Millisecond {
		t.Errorf("used %v of CPU in a second without descriptors", used)
	}
	for i, c := range clients {
		if err := errors.Join(c.SetDeadline(time.Now().Add(testPatience)), exchange(c, "x")); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		reset(c)
	}
	if got := run(t, "still here\n", "connect", relay.url); got.code != 0 || got.stdout != "still here\n" {
		t.Fatalf("exit %d, %q: %s", got.code, got.stdout, got.stderr)
	}
}

// exchange has text echoed.
func exchange(c net.Conn, text string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("%q came back as %q", text, got)
	}
	return nil
}

// TestRelayWaitsForDescriptor: a client that was accepted when none is left for its target is not reset, but waits.
// The relay is not to know of the limit beforehand, which falls while it runs.
func TestRelayWaitsForDescriptor(t *testing.T) {
	echo := server(t, "tincan", "serve", "echo", "tcp://127.0.0.1:0")
	relay := relayServer(t, "--retry", "--backoff", "10ms..50ms", "tcp://127.0.0.1:0", echo.url)
	first := dialTCP(t, relay.url)
	if err := exchange(first, "x"); err != nil {
		t.Fatal(err)
	}
	pid := relay.Process.Pid
	free := 0
	low := unix.Rlimit{Max: 4096} // one is to be left, for the client alone: the limit is that of their numbers
	for ; ; low.Cur++ {
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", pid, low.Cur)); err == nil {
			continue
		} else if free++; free == 2 {
			break
		}
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &low, nil); err != nil {
		t.Fatal(err)
	}
	second := dialTCP(t, relay.url)
	if _, err := io.WriteString(second, "y"); err != nil {
		t.Fatal(err)
	}
	relay.log.await(t, regexp.MustCompile("too many open files; trying again"))
	reset(first) // leaves two, of which the dial needs one
	got := make([]byte, 1)
	if _, err := io.ReadFull(second, got); err != nil || got[0] != 'y' {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestRelaySlowReader passes bulk to a reader that is slow at first: every byte
// arrives, and the relay's memory doesn't grow by what waits.
func TestRelaySlowReader(t *testing.T) {
	sums := make(chan string, 1)
	slow := make(chan struct{})
	url := peer(t, func(c *net.TCPConn) error {
		sum := sha256.New()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range 100 {
			<-tick.C
			if _, err := io.CopyN(sum, c, 64<<10); err != nil {
				return err
			}
		}
		close(slow)
		_, err := io.Copy(sum, c)
		sums <- fmt.Sprintf("%x", sum.Sum(nil))
		return err
	})
	relay := relayServer(t, "tcp://127.0.0.1:0", url)
	c := dialTCP(t, relay.url)
	sent := make(chan string, 1)
	go func() {
		sent <- pour(t, c, bulk())
		_ = c.CloseWrite()
	}()
	<-slow
	if rss := resident(t, relay.Process.Pid); rss > 64<<20 && !raceDetector {
		t.Errorf("the relay holds %d MiB while the reader is slow", rss>>20)
	}
	if <-sent != <-sums {
		t.Error("what arrived is not what was sent")
	}
}

// TestRelayInheritedListener: clients are accepted from a descriptor.
func TestRelayInheritedListener(t *testing.T) {
	t.Parallel()
	echo := server(t, "tincan", "serve", "echo", "tcp://127.0.0.1:0")
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		url := startActivated(t, "fd:4", 1, []net.Listener{listenOn(t, "tcp", "127.0.0.1:0"), listenOn(t, network, address)}, nil, echo.url)[0]
		if got := run(t, "hello\n", "connect", url); got.code != 0 || got.stdout != "hello\n" {
			t.Errorf("%s: exit %d, %q: %s", url, got.code, got.stdout, got.stderr)
		}
	}
}

func listenOn(t *testing.T, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// startActivated starts a relay with the listeners at descriptors from 3, as a service manager
// would, and gives the n URLs it says it listens on. It is ended with SIGTERM, which must be in order.
func startActivated[S io.Closer](t *testing.T, from string, n int, listeners []S, env []string, to string, flags ...string) (urls []string) {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `export LISTEN_PID=$$; exec tincan relay "$@"`, "sh"}, append(flags, from, to)...)...)
	for _, ln := range listeners {
		f, err := any(ln).(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.Env = append(os.Environ(), append(env, fmt.Sprintf("LISTEN_FDS=%d", len(listeners)))...)
	said, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	})
	poll(func() bool {
		text, err := os.ReadFile(said.Name())
		if err != nil {
			t.Fatal(err)
		}
		urls = nil
		for _, m := range listeningLine.FindAllSubmatch(text, -1) {
			urls = append(urls, string(bytes.Join(m[1:], nil)))
		}
		return len(urls) >= n
	}, func() { t.Fatalf("%s: listens on %q, want %d", from, urls, n) })
	return urls
}

// TestRelaySystemd: sockets are told by their names, their rules hold, and the service manager is told.
func TestRelaySystemd(t *testing.T) {
	echo := server(t, "tincan", "serve", "echo", "tcp://127.0.0.1:0")
	dir, err := os.MkdirTemp("", "tincan")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Close() })
	told := func(want string) {
		t.Helper()
		buf := make([]byte, 100)
		if err := manager.SetReadDeadline(time.Now().Add(testPatience)); err != nil {
			t.Fatal(err)
		}
		if n, err := manager.Read(buf); err != nil || string(buf[:n]) != want {
			t.Fatalf("the service manager was told %q, %v; want %s", buf[:n], err, want)
		}
	}
	t.Run("relay", func(t *testing.T) {
		web, admin := listenOn(t, "tcp", "127.0.0.1:0"), listenOn(t, "unix", filepath.Join(dir, "admin"))
		env := []string{"LISTEN_FDNAMES=web:admin", "NOTIFY_SOCKET=" + filepath.Join(dir, "notify")}
		urls := startActivated(t, "systemd:admin", 1, []net.Listener{web, admin}, env, echo.url, "--max-conns", "1")
		if len(urls) != 1 || urls[0] != "unix://"+admin.Addr().String() {
			t.Errorf("listens on %q", urls)
		}
		told("READY=1")
		first, err := net.Dial("unix", admin.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(first, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(first, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if got := run(t, "hello\n", "connect", urls[0]); got.code != 5 {
			t.Errorf("over the limit: exit %d: %s", got.code, got.stderr)
		}
		_ = first.Close()
	})
	told("STOPPING=1")
	env := []string{"LISTEN_FDNAMES=web:admin"}
	web, admin := listenOn(t, "tcp", "127.0.0.1:0"), listenOn(t, "tcp", "127.0.0.1:0")
	if urls := startActivated(t, "systemd:", 2, []net.Listener{web, admin}, env, echo.url); len(urls) != 2 {
		t.Errorf("listens on %q, want both", urls)
	}
}

// TestRelaySystemdMessages: units with ListenDatagram= and ListenSequentialPacket= are listened on, from the datagram on
// that the manager started the relay for, and by a relay that comes after it.
func TestRelaySystemdMessages(t *testing.T) {
	t.Parallel()
	echo := server(t, "tincan", "serve", "echo", "udp://127.0.0.1:0")
	dir := t.TempDir()
	udp, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	gram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "gram")})
	if err != nil {
		t.Fatal(err)
	}
	defer gram.Close()
	packet := listenOn(t, "unixpacket", filepath.Join(dir, "packet"))
	sockets := []io.Closer{udp, gram, packet, listenOn(t, "tcp", "127.0.0.1:0")}
	env := []string{"LISTEN_FDNAMES=dns:dns:dns:web"}
	peer := udpPeer(t, fmt.Sprintf("127.0.0.1:%d", udp.LocalAddr().(*net.UDPAddr).Port))
	for _, run := range []string{"first", "second"} {
		t.Run(run, func(t *testing.T) {
			if _, err := io.WriteString(peer, run); err != nil { // nobody reads it yet
				t.Fatal(err)
			}
			urls := startActivated(t, "systemd:dns", 3, sockets, env, echo.url, "--max-conns", "3")
			buf := make([]byte, 100)
			if n, err := peer.Read(buf); err != nil || string(buf[:n]) != run {
				t.Fatalf("the peer got %q, %v", buf[:n], err)
			}
			asks(t, peer, "again", "again")
			if len(urls) != 3 {
				t.Fatalf("listens on %q, want all three", urls)
			}
			for _, url := range urls {
				if strings.HasPrefix(url, "udp:") {
					continue
				}
				c, err := tincan.DialMessage(t.Context(), url)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.WriteMessage(t.Context(), []byte(url)); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), testPatience)
				defer cancel()
				if n, err := c.ReadMessage(ctx, buf); err != nil || string(buf[:n]) != url {
					t.Errorf("%s: %q, %v", url, buf[:n], err)
				}
			}
		})
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `export LISTEN_PID=$$; exec tincan relay systemd: "$0"`, echo.url)
	for _, s := range sockets {
		f, err := s.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.Env = append(os.Environ(), "LISTEN_FDS=4")
	if text, err := cmd.CombinedOutput(); cmd.ProcessState == nil || exitStatus(cmd.ProcessState) != 2 || !strings.Contains(string(text), "some for streams and some for messages") {
		t.Errorf("streams and messages: %v, %s", err, text)
	}
}

// TestRelayInheritedPackets: connected sockets that carry messages are both sides of a transfer.
func TestRelayInheritedPackets(t *testing.T) {
	t.Parallel()
	for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		var ours [2]net.Conn
		cmd := exec.CommandContext(t.Context(), "tincan", "relay", "fd:3", "fd:4")
		for i := range ours {
			fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			mine, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
			defer theirs.Close()
			ours[i], err = net.FileConn(mine)
			if err := errors.Join(err, mine.Close()); err != nil {
				t.Fatal(err)
			}
			defer ours[i].Close()
			if err := ours[i].SetDeadline(time.Now().Add(testPatience)); err != nil {
				t.Fatal(err)
			}
			cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		for i := range ours {
			for _, m := range []string{"one", "another"} {
				if _, err := io.WriteString(ours[i], m); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range []string{"one", "another"} {
				if n, err := ours[1-i].Read(buf); err != nil || string(buf[:n]) != want {
					t.Errorf("kind %d: got %q, %v", kind, buf[:n], err)
				}
			}
		}
		want := 0
		if kind == unix.SOCK_DGRAM { // has no end
			want = 130
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
		}
		for i := range ours {
			_ = ours[i].Close()
			_ = cmd.ExtraFiles[i].Close()
		}
		_ = cmd.Wait()
		if got := exitStatus(cmd.ProcessState); got != want {
			t.Errorf("kind %d: exit %d, want %d", kind, got, want)
		}
	}
}

// openPTY gives a pseudo-terminal of 33 rows and 101 columns. Unlike package pty's own, ours doesn't wait without limit.
func openPTY(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	master, theirs, err := pty.Open()
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	defer master.Close()
	fd, err := unix.Dup(int(master.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(unix.SetNonblock(fd, true), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 101}))
	ours = os.NewFile(uintptr(fd), master.Name())
	t.Cleanup(func() { _ = ours.Close() })
	if err := errors.Join(err, ours.SetDeadline(time.Now().Add(testPatience))); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// TestRelaySerialPort: a terminal is read and written as a file.
func TestRelaySerialPort(t *testing.T) {
	t.Parallel()
	device, port := openPTY(t)
	if _, err := term.MakeRaw(int(port.Fd())); err != nil {
		t.Fatal(err)
	}
	c := dialTCP(t, relayServer(t, "tcp://127.0.0.1:0", "file:"+port.Name()).url)
	buf := make([]byte, 100)
	if _, err := io.WriteString(c, "AT\r"); err != nil {
		t.Fatal(err)
	}
	if n, err := device.Read(buf); err != nil || string(buf[:n]) != "AT\r" {
		t.Fatalf("the device got %q, %v", buf[:n], err)
	}
	if _, err := io.WriteString(device, "OK\r\n"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(c, buf[:4]); err != nil || string(buf[:n]) != "OK\r\n" {
		t.Fatalf("the client got %q, %v", buf[:n], err)
	}
}

// onTerminal runs the command with its three streams, or its standard error alone, on a
// terminal, types there once it shows the prompt, and gives all that the terminal showed.
func onTerminal(t *testing.T, whole bool, prompt, typed string, args ...string) (shown string, code int) {
	t.Helper()
	ours, theirs := openPTY(t)
	cmd := exec.CommandContext(t.Context(), "tincan", args...)
	cmd.Stderr = theirs
	if whole {
		cmd.Stdin, cmd.Stdout = theirs, theirs
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	var text []byte
	for buf := make([]byte, 4096); ; {
		n, err := ours.Read(buf)
		text = append(text, buf[:n]...)
		if typed != "" && bytes.Contains(text, []byte(prompt)) {
			if _, err := io.WriteString(ours, typed); err != nil {
				t.Fatal(err)
			}
			typed = ""
		}
		if err != nil {
			if !errors.Is(err, unix.EIO) { // nobody has the terminal open any more
				t.Errorf("%v; shown %q", err, text)
				_ = cmd.Process.Kill()
			}
			_ = cmd.Wait()
			return string(text), exitStatus(cmd.ProcessState)
		}
	}
}

// TestRelayProgress: a transfer shows how far it is on a terminal, and nowhere else.
func TestRelayProgress(t *testing.T) {
	t.Parallel()
	discard := server(t, "tincan", "serve", "discard", "tcp://127.0.0.1:0")
	file := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(file, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	shown, code := onTerminal(t, false, "", "", "relay", "--rate", "6MiB/s", "file:"+file, discard.url)
	if code != 0 || !strings.Contains(shown, "100%") || !strings.Contains(shown, "/3.0 MiB,") {
		t.Errorf("exit %d, shown %q", code, shown)
	}
	if got := run(t, "", "relay", "file:"+file, discard.url); got.code != 0 || got.stderr != "" {
		t.Errorf("exit %d, %q", got.code, got.stderr)
	}
}

// TestRelayTerminal: a program on a pseudo-terminal has the size of ours, and gets its keys.
func TestRelayTerminal(t *testing.T) {
	t.Parallel()
	shown, code := onTerminal(t, true, "33 101", "typed\r", "relay", "--pty", "stdio:", "exec", "--", "sh", "-c", "stty size; read line; echo got $line; exit 4")
	if code != 4 || !regexp.MustCompile(`(?s)33 101.*got typed`).MatchString(shown) {
		t.Errorf("exit %d, shown %q", code, shown)
	}
}

// TestRelayIdleClients: a relay holds 10,000, with two descriptors to each, or where these may not be
// raised as many as they are enough for; they cost little and hold up nobody.
func TestRelayIdleClients(t *testing.T) {
	echo := server(t, "tincan", "serve", "echo", "tcp://127.0.0.1:0")
	relay := server(t, "sh", "-c", "ulimit -n 24000 2>/dev/null; exec tincan relay tcp://127.0.0.1:0 "+echo.url)
	var limit unix.Rlimit
	if err := unix.Prlimit(relay.Process.Pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	clients := min(10_000, (int(limit.Cur)-ownDescriptors)/2-10)
	if clients < 10_000 {
		t.Logf("%d descriptors are enough for %d clients alone", limit.Cur, clients)
	}
	if testing.Short() || raceDetector {
		clients = min(clients, 1000)
	}
	echoes(t, relay.address())
	before := resident(t, relay.Process.Pid)
	dialMany(t, relay.address(), clients)
	awaitDescriptors(t, relay.Process.Pid, func(n int) bool { return n >= 2*clients })
	servedAtOnce(t, relay.address())
	each := (resident(t, relay.Process.Pid) - before) / clients
	t.Logf("%d clients, %d bytes for each", clients, each)
	if each > 24<<10 && !raceDetector {
		t.Errorf("an idle client costs %d bytes", each)
	}
}
