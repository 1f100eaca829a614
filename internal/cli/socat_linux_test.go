package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/internal/porttest"
)

const socatTable = "../../docs/coming-from-socat.md"

// A socatRow is a row of the table: what a line is for, and the two lines.
type socatRow struct{ to, socat, tincan string }

// socatRows reads the rows of the table in a file, and gives them as they are too.
func socatRows(t *testing.T, file string) (rows []socatRow, raw []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| ([^`|]+) \\| `(.*)` \\| `(.*)` \\|$").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(m[3], "tincan") && strings.Contains(m[2], "socat") {
			rows, raw = append(rows, socatRow{m[1], m[2], m[3]}), append(raw, m[0])
		}
	}
	return rows, raw
}

// TestComingFromSocat runs each line of the table, those of socat too where it is there.
func TestComingFromSocat(t *testing.T) {
	rows, raw := socatRows(t, socatTable)
	if len(rows) < 20 {
		t.Errorf("there are %d rows", len(rows))
	}
	if _, shown := socatRows(t, "../../README.md"); len(shown) < 6 || !strings.Contains(strings.Join(raw, "\n"), strings.Join(shown, "\n")) {
		t.Errorf("the README shows %d rows, which must be some of the table's", len(shown))
	}
	for _, row := range rows {
		check := socatChecks[row.to]
		if check == nil {
			t.Errorf("no check for %q", row.to)
			continue
		}
		for program, line := range map[string]string{"tincan": row.tincan, "socat": row.socat} {
			t.Run(program+"/"+row.to, func(t *testing.T) {
				t.Parallel()
				if _, err := exec.LookPath(program); err != nil {
					missing(t, err)
				}
				check(newSocatStage(t, line))
			})
		}
	}
}

// A socatStage is where a line is run: a folder, servers, ports and a serial
// port of its own, which stand in for those in the line.
type socatStage struct {
	*testing.T
	line   string
	dir    string
	port   string // for 8000
	later  string // the address for server:7001, where nobody listens yet
	device *os.File
	stdout bytes.Buffer
	stderr string // a file
}

func newSocatStage(t *testing.T, line string) *socatStage {
	s := &socatStage{T: t, dir: t.TempDir(), port: strconv.Itoa(porttest.Reserve(t))}
	s.stderr = filepath.Join(s.dir, "stderr")
	sock := filepath.Join(s.dir, "server.sock")
	stream := socatEcho(t, listenOn(t, "tcp", "127.0.0.1:0"))
	socatEcho(t, listenOn(t, "unix", sock))
	s.write("in.txt", "hello\n")
	if got := run(t, "", "cert", s.dir, "127.0.0.1", "localhost"); got.code != 0 {
		t.Fatal(got.stderr)
	}
	for _, name := range []string{".pem", "-key.pem"} {
		if err := os.Rename(filepath.Join(s.dir, "127.0.0.1"+name), filepath.Join(s.dir, "host"+name)); err != nil {
			t.Fatal(err)
		}
	}
	s.later = "127.0.0.1:" + strconv.Itoa(porttest.Reserve(t))
	if strings.Contains(line, "UDP") || strings.Contains(line, "udp:") {
		stream = socatEchoPackets(t)
	}
	if strings.Contains(line, "7443") {
		tls := server(t, "tincan", "serve", "echo", fmt.Sprintf("tls://127.0.0.1:0?cert=%s/localhost.pem&key=%s/localhost-key.pem", s.dir, s.dir))
		line = strings.ReplaceAll(line, "server:7443", "localhost:"+tls.url[strings.LastIndexByte(tls.url, ':')+1:])
	}
	if strings.Contains(line, "ttyS0") {
		device, tty := openPTY(t)
		s.device = device
		line = strings.ReplaceAll(line, "/dev/ttyS0", tty.Name())
	}
	s.line = strings.NewReplacer("server:7000", stream, "server:7001", s.later, "8000", s.port).Replace(line)
	return s
}

// socatEcho sends back what it is sent, until the test ends.
func socatEcho(t *testing.T, ln net.Listener) string {
	t.Helper()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

func socatEchoPackets(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(buf[:n], from)
		}
	}()
	return c.LocalAddr().String()
}

func (s *socatStage) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

// start runs the line in a shell, with that for its input, until the test ends.
func (s *socatStage) start(stdin string) *exec.Cmd {
	s.Helper()
	cmd := exec.Command("sh", "-c", s.line)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := os.Create(s.stderr)
	if err != nil {
		s.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &s.stdout, stderr
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return cmd
}

// says runs the line to its end and checks what it writes.
func (s *socatStage) says(stdin, want string) {
	s.Helper()
	cmd := s.start(stdin)
	if err := cmd.Wait(); err != nil || !strings.Contains(s.stdout.String(), want) {
		said, _ := os.ReadFile(s.stderr)
		s.Errorf("%s: %v, %q, want %q\n%s", s.line, err, &s.stdout, want, said)
	}
}

// dial connects to what the line listens on, as soon as it does.
func (s *socatStage) dial(network, address string) net.Conn {
	s.Helper()
	var c net.Conn
	var err error
	poll(func() bool {
		c, err = net.Dial(network, address)
		return err == nil
	}, func() {
		said, _ := os.ReadFile(s.stderr)
		s.Fatalf("%s: %v\n%s", s.line, err, said)
	})
	s.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(testPatience)); err != nil {
		s.Fatal(err)
	}
	return c
}

// asks sends a line to a client's side and checks the answer.
func (s *socatStage) asks(c net.Conn, want string) {
	s.Helper()
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		s.Fatal(err)
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			s.Fatal(err)
		}
	}
	got, err := io.ReadAll(c)
	if string(got) != want {
		said, _ := os.ReadFile(s.stderr)
		s.Errorf("%s: got %q, %v; want %q\n%s", s.line, got, err, want, said)
	}
}

// relays is the check of most lines: what is sent to the port comes back.
func (s *socatStage) relays() {
	s.Helper()
	s.start("")
	s.asks(s.dial("tcp", "127.0.0.1:"+s.port), "hello\n")
}

// socatChecks say what the line of each row must do.
var socatChecks = map[string]func(s *socatStage){
	"talk to a TCP server":              func(s *socatStage) { s.says("hello\n", "hello\n") },
	"forward a port":                    (*socatStage).relays,
	"forward a port of this host alone": (*socatStage).relays,
	"talk to a Unix socket":             func(s *socatStage) { s.says("hello\n", "hello\n") },
	"give a Unix socket a port":         (*socatStage).relays,
	"let in some networks alone":        (*socatStage).relays,
	"talk to a TLS server":              func(s *socatStage) { s.says("hello\n", "hello\n") },
	"send a datagram, see the answer":   func(s *socatStage) { s.says("hello\n", "hello\n") },
	"put a program on a terminal":       func(s *socatStage) { s.says("", "yes") },
	"wait for one client": func(s *socatStage) {
		cmd := s.start("hello\n")
		s.asks(s.dial("tcp", "127.0.0.1:"+s.port), "hello\n")
		if err := cmd.Wait(); err != nil || s.stdout.String() != "hello\n" {
			s.Errorf("%v, %q", err, &s.stdout)
		}
	},
	"give a port a Unix socket": func(s *socatStage) {
		s.start("")
		path := filepath.Join(s.dir, "app.sock")
		s.asks(s.dial("unix", path), "hello\n")
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
			s.Errorf("%v, %v", info.Mode(), err)
		}
	},
	"run a program for each client": func(s *socatStage) {
		s.start("")
		s.asks(s.dial("tcp", "127.0.0.1:"+s.port), "HELLO\n")
	},
	"run a shell line for each client": func(s *socatStage) {
		s.start("")
		s.asks(s.dial("tcp", "127.0.0.1:"+s.port), "hello 127.0.0.1\n")
	},
	"put TLS before a server": func(s *socatStage) {
		s.start("")
		_ = s.dial("tcp", "127.0.0.1:"+s.port).Close()
		got := run(s.T, "hello\n", "connect", fmt.Sprintf("tls://127.0.0.1:%s?ca=%s/ca.pem&min-version=1.2", s.port, s.dir))
		if got.code != 0 || got.stdout != "hello\n" {
			s.Errorf("exit %d, %q: %s", got.code, got.stdout, got.stderr)
		}
	},
	"forward UDP": func(s *socatStage) {
		s.start("")
		for deadline := time.Now().Add(testPatience); ; {
			c := s.dial("udp", "127.0.0.1:"+s.port)
			buf := make([]byte, 100)
			_, err := io.WriteString(c, "hello\n")
			n, readErr := 0, c.SetReadDeadline(time.Now().Add(100*time.Millisecond))
			if err == nil && readErr == nil {
				n, readErr = c.Read(buf)
			}
			if string(buf[:n]) == "hello\n" {
				return
			}
			if time.Now().After(deadline) {
				s.Fatal(errors.Join(err, readErr))
			}
		}
	},
	"send a file": func(s *socatStage) {
		ln := listenOn(s.T, "tcp", s.later)
		s.line = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(s.line, s.later)
		s.start("")
		c, err := ln.Accept()
		if err != nil {
			s.Fatal(err)
		}
		defer c.Close()
		if got, err := io.ReadAll(c); err != nil || string(got) != "hello\n" {
			s.Errorf("got %q, %v", got, err)
		}
	},
	"log what clients send": func(s *socatStage) {
		s.start("")
		for range 2 {
			s.asks(s.dial("tcp", "127.0.0.1:"+s.port), "")
		}
		await(s.T, filepath.Join(s.dir, "log.txt"), regexp.MustCompile(`^hello\nhello\n$`))
	},
	"see what passes": func(s *socatStage) {
		s.relays()
		await(s.T, s.stderr, regexp.MustCompile(`68 65 6c 6c 6f 0a`))
	},
	"wait for the server to come up": func(s *socatStage) {
		s.start("")
		c := s.dial("tcp", "127.0.0.1:"+s.port)
		if _, err := io.WriteString(c, "hel"); err != nil {
			s.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // in which it fails to reach the server
		socatEcho(s.T, listenOn(s.T, "tcp", s.later))
		if _, err := io.WriteString(c, "lo\n"); err != nil {
			s.Fatal(err)
		}
		got := make([]byte, 6)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello\n" {
			s.Errorf("got %q, %v", got, err)
		}
	},
	"give a serial port a port": func(s *socatStage) {
		s.start("")
		c := s.dial("tcp", "127.0.0.1:"+s.port)
		if _, err := io.WriteString(c, "AT\r"); err != nil {
			s.Fatal(err)
		}
		buf := make([]byte, 3)
		if _, err := io.ReadFull(s.device, buf); err != nil || string(buf) != "AT\r" {
			s.Fatalf("the device got %q, %v", buf, err)
		}
		if _, err := io.WriteString(s.device, "OK\r"); err != nil {
			s.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "OK\r" {
			s.Fatalf("the client got %q, %v", buf, err)
		}
	},
}

// missing ends a test for want of what err says: in CI, where all of it is installed, that is a failure.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}
