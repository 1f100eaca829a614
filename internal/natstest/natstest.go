// Package natstest runs NATS servers for tests, alone or as a cluster, each in a process of its own
// that can be killed and started again. They are the test binary itself, started anew: TestMain of a
// package that uses them calls [Child] first. No package but tests may import this one.
package natstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan/internal/porttest"
)

// patience bounds every wait: far more than what is waited for ever takes.
const patience = 60 * time.Second

// variable names the environment variable that makes a process a server, and holds its settings.
const variable = "TINCAN_NATS_TEST_SERVER"

// settings are those of one server, as its process gets them.
type settings struct {
	Name, Cluster     string
	Port, ClusterPort int
	Routes            []string
	StoreDir          string
	Config            string // a file in nats-server's own form, "" for none
}

// Child runs the server and ends the process, where the process was started as one; else it does nothing.
func Child() {
	text := os.Getenv(variable)
	if text == "" {
		return
	}
	var c settings
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run serves until the standard input ends, which it does with the process that started this one.
func (c *settings) run() error {
	o := &server.Options{}
	if c.Config != "" {
		if err := o.ProcessConfigFile(c.Config); err != nil {
			return err
		}
	}
	o.Host, o.Port, o.ServerName = "127.0.0.1", c.Port, c.Name
	o.NoSigs, o.LogFile = true, c.StoreDir+".log"
	o.JetStream, o.StoreDir = true, c.StoreDir
	o.JetStreamMaxMemory, o.JetStreamMaxStore = 256<<20, 4<<30
	if c.Cluster != "" {
		o.Cluster = server.ClusterOpts{Name: c.Cluster, Host: "127.0.0.1", Port: c.ClusterPort, PoolSize: -1}
		o.RoutesStr = strings.Join(c.Routes, ",")
		o.Routes = server.RoutesFromStr(o.RoutesStr)
	}
	o.AuthTimeout, o.TLSTimeout = patience.Seconds(), patience.Seconds() // the default of two seconds is little on a busy machine
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(patience) {
		return errors.New("the server isn't ready")
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return nil
}

// A Server is one server's process.
type Server struct {
	settings settings

	mu    sync.Mutex // guards what follows
	cmd   *exec.Cmd  // nil while it isn't running
	input io.Closer
}

// Address is where clients find it: host:port, the same after a restart.
func (s *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.settings.Port) }

// Start starts it, with what it had stored, and waits until it takes clients.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := json.Marshal(s.settings)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), variable+"="+string(text), "GORACE=atexit_sleep_ms=0", "GOMAXPROCS=2")
	cmd.Stderr = os.Stderr
	if s.input, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log, _ := os.ReadFile(s.settings.StoreDir + ".log")
		return fmt.Errorf("server %s: %w\n%s", s.settings.Name, err, log)
	}
	s.cmd = cmd
	return nil
}

// Kill ends its process with SIGKILL and waits for the end. One that isn't running is left so.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = s.input.Close()
	s.cmd = nil
}

// A Cluster is one server or several that know each other.
type Cluster []*Server

// URL gives the endpoint of subject on all servers, with query where it isn't empty.
func (c Cluster) URL(subject, query string) string {
	if query != "" {
		query = "?" + query
	}
	return "nats://" + strings.Join(c.addresses(), ",") + "/" + subject + query
}

func (c Cluster) addresses() []string {
	var all []string
	for _, s := range c {
		all = append(all, s.Address())
	}
	return all
}

// Connect gives a connection of its own that lives as long as the test.
func (c Cluster) Connect(t testing.TB) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(strings.Join(c.addresses(), ","), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
		nc.Close()
		<-closed
	})
	return nc
}

// Start starts n servers with JetStream, a cluster where n is over 1, and ends them with the test.
// config is in nats-server's own form, "" for none.
func Start(t testing.TB, n int, config string) Cluster {
	t.Helper()
	dir := t.TempDir()
	file := ""
	if config != "" {
		file = filepath.Join(dir, "nats.conf")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var last error
	for range 3 { // another process may take a port before the server does
		c, err := start(t, n, dir, file)
		if err == nil {
			t.Cleanup(func() {
				for _, s := range c {
					s.Kill()
				}
			})
			if config == "" {
				c.awaitStorage(t)
			}
			return c
		}
		last = err
	}
	t.Fatal(last)
	return nil
}

func start(t testing.TB, n int, dir, config string) (Cluster, error) {
	var ports []int
	for range 2 * n {
		ports = append(ports, porttest.Reserve(t))
	}
	var c Cluster
	var routes []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[n+i]))
	}
	for i := range n {
		s := &Server{settings: settings{
			Name: fmt.Sprintf("n%d", i+1), Port: ports[i], Config: config,
			StoreDir: filepath.Join(dir, fmt.Sprintf("%d-n%d", ports[i], i+1)),
		}}
		if n > 1 {
			s.settings.Cluster, s.settings.ClusterPort, s.settings.Routes = "tincan-test", ports[n+i], routes
		}
		if err := s.Start(); err != nil {
			for _, s := range c {
				s.Kill()
			}
			return nil, err
		}
		c = append(c, s)
	}
	return c, nil
}

// awaitStorage waits until JetStream has a leader and every server has the others.
func (c Cluster) awaitStorage(t testing.TB) {
	t.Helper()
	nc := c.Connect(t)
	// A stream with as many replicas as there are servers can be made only when all of them are there.
	create := fmt.Sprintf(`{"name":"NATSTEST","subjects":["natstest"],"storage":"memory","num_replicas":%d,"retention":"limits"}`, len(c))
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		m, err := nc.Request("$JS.API.STREAM.CREATE.NATSTEST", []byte(create), time.Second)
		if err == nil && !strings.Contains(string(m.Data), `"error"`) {
			break
		}
		if time.Now().After(deadline) {
			answer := ""
			if m != nil {
				answer = string(m.Data)
			}
			t.Fatalf("JetStream isn't there: %v %s", err, answer)
		}
	}
	if _, err := nc.Request("$JS.API.STREAM.DELETE.NATSTEST", nil, patience); err != nil {
		t.Fatal(err)
	}
}

// CheckConfig has nats-server read a configuration file.
func CheckConfig(file string) error {
	return (&server.Options{}).ProcessConfigFile(file)
}
