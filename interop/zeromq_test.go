//go:build linux

package interop

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tincan-ipc/tincan/internal/porttest"
)

// A zeromqPeer is one implementation of ZeroMQ, for which there are programs here.
type zeromqPeer struct {
	name string
	// program returns the command line of a program by the name that it has in every language.
	program func(t *testing.T, name string) []string
	// plain is a peer that has no Unix sockets and no security, as JeroMQ 0.3.6: it speaks ZMTP 2.0.
	plain bool
}

var zeromqPeers = []zeromqPeer{
	{name: "c", program: func(t *testing.T, name string) []string {
		return []string{filepath.Join(builtZeromqC(t), name)}
	}},
	{name: "python", program: func(t *testing.T, name string) []string {
		return []string{debianPython(t), filepath.Join("python", "zeromq", name+".py")}
	}},
	{name: "node", program: func(t *testing.T, name string) []string {
		return []string{"node", filepath.Join(builtNode(t), name+".js")}
	}},
	{name: "java", plain: true, program: func(t *testing.T, name string) []string {
		path := builtZeromqJava(t) + ":" + jeromq
		return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", path, className(name)}
	}},
}

// className is the Java program of a name: RequestReplyClient is request_reply_client.
func className(program string) string {
	class := ""
	for word := range strings.SplitSeq(program, "_") {
		class += strings.ToUpper(word[:1]) + word[1:]
	}
	return class
}

const (
	zmqHeader = "/usr/include/zmq.h"
	jeromq    = "/usr/share/java/jeromq.jar"
	// python is Debian's own, for which python3-zmq is: another may come first in the PATH.
	python = "/usr/bin/python3"
)

// file wants a file of a Debian package.
func file(t *testing.T, path, debianPackage string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: on Debian it comes with %s", err, debianPackage)
	}
}

// buildZeromqC builds every C program of ZeroMQ: the files of the folder that have a main.
var buildZeromqC = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "c-zeromq")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	sources, err := filepath.Glob("c/zeromq/*_*.c")
	if err != nil {
		return "", err
	}
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		argv := []string{
			"gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-pthread",
			"-o", filepath.Join(dir, name), source, "c/zeromq/endpoint.c",
		}
		if name == "matrix_party" {
			argv = append(argv, "c/zeromq/zap.c")
		}
		if err := build(".", append(argv, "-lzmq")...); err != nil {
			return "", err
		}
	}
	return dir, nil
})

func builtZeromqC(t *testing.T) string {
	t.Helper()
	tool(t, "gcc")
	file(t, zmqHeader, "libzmq3-dev")
	return built(t, buildZeromqC)
}

var buildZeromqJava = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "java-zeromq")
	sources, err := filepath.Glob("java/zeromq/*.java")
	if err != nil {
		return "", err
	}
	argv := []string{"javac", "--release", "17", "-Xlint:all", "-Werror", "-cp", jeromq, "-sourcepath", "java", "-d", dir}
	return dir, build(".", append(argv, sources...)...)
})

func builtZeromqJava(t *testing.T) string {
	t.Helper()
	tool(t, "javac")
	file(t, jeromq, "libjeromq-java")
	return built(t, buildZeromqJava)
}

var findZeromqPython = sync.OnceValues(func() (string, error) {
	return python, build(".", python, "-c", "import zmq")
})

// debianPython returns the path of the Python that has zmq, which on Debian comes with python3-zmq.
func debianPython(t *testing.T) string {
	t.Helper()
	file(t, python, "python3 and python3-zmq")
	return built(t, findZeromqPython)
}

// installNode installs the library of ZeroMQ, which ships its binaries in the package.
var installNode = sync.OnceValues(func() (string, error) { return npmInstall("node", "zeromq") })

// npmInstall puts the programs of a folder in one beside the library that its package-lock.json names. No script of
// the library has to run.
func npmInstall(folder, library string) (string, error) {
	dir := filepath.Join(buildDir, folder)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	files, err := filepath.Glob(folder + "/*.js*")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o600); err != nil {
			return "", err
		}
	}
	if err := build(dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
		return "", err
	}
	return dir, build(dir, "node", "-e", "require('"+library+"')")
}

func builtNode(t *testing.T) string {
	t.Helper()
	tool(t, "node")
	tool(t, "npm")
	return built(t, installNode)
}

// built runs a build, once for all tests.
func built(t *testing.T, build func() (string, error)) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// freeEndpoint is an endpoint to listen on, as ZeroMQ writes it. Its port stays that of
// the test while who listens is killed and comes back.
func freeEndpoint(t *testing.T, transport string) string {
	t.Helper()
	switch transport {
	case "tcp":
		return "tcp://127.0.0.1:" + strconv.Itoa(porttest.Reserve(t))
	case "ipc":
		return "ipc://" + socketPath(t)
	case "abstract":
		return "ipc://@" + filepath.Base(filepath.Dir(socketPath(t)))
	}
	t.Fatalf("no such transport: %s", transport)
	return ""
}

// zeromqEndpoint is a URL of tincan's as ZeroMQ writes it.
func zeromqEndpoint(url string) string {
	if path, ok := strings.CutPrefix(url, "unix:"); ok {
		return "ipc://" + strings.TrimPrefix(path, "//")
	}
	return url
}
