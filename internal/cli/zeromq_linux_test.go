package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tincan-ipc/tincan/internal/porttest"
)

const zeromqPage = "../../docs/coming-from-zeromq.md"

// TestComingFromZeroMQ runs the shell lines of the page and of the README that say what they print, and, where
// libzmq is, the page's functions in C against the command.
func TestComingFromZeroMQ(t *testing.T) {
	for _, file := range []string{zeromqPage, "../../README.md"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			scripts := 0
			for _, script := range codeBlocks(t, file, "sh") {
				if want := printed(script); want != "" {
					scripts++
					runScript(t, script, want)
				}
			}
			if scripts == 0 {
				t.Error("no line says what it prints")
			}
		})
	}
	t.Run("C", func(t *testing.T) {
		t.Parallel()
		program := buildZeroMQ(t)
		for name, check := range zeromqChecks {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				runScript(t, strings.ReplaceAll(check.script, "zmq ", program+" "), check.want)
			})
		}
	})
}

// zeromqChecks say what each function of the page must do; "zmq NAME" calls it.
var zeromqChecks = map[string]struct{ script, want string }{
	"push": {`zmq push tcp://127.0.0.1:1 & tincan pull --count 1 tcp://127.0.0.1:1`, "resize 42.png"},
	"pull": {`printf 'resize\t42.png\n' | tincan push tcp://127.0.0.1:1 & zmq pull tcp://127.0.0.1:1`, "resize\n42.png"},
	"ask": {`tincan rep --count 1 --reply HELLO tcp://127.0.0.1:1 &
zmq ask tcp://127.0.0.1:1`, "HELLO"},
	"answer":    {`zmq answer tcp://127.0.0.1:1 & echo hello | tincan req tcp://127.0.0.1:1`, "HELLO"},
	"announce":  {`zmq announce tcp://127.0.0.1:1 & tincan sub --topic weather --count 1 tcp://127.0.0.1:1`, "weather sunny"},
	"subscribe": {`printf 'weather\tsunny\n' | tincan pub --wait-peers 1 tcp://127.0.0.1:1 & zmq subscribe tcp://127.0.0.1:1`, "weather\nsunny"},
	"queue": {`zmq queue tcp://127.0.0.1:1 tcp://127.0.0.1:2 &
tincan rep --count 1 --reply done --dial tcp://127.0.0.1:2 & echo hello | tincan req tcp://127.0.0.1:1`, "done"},
	"ask_securely": {`key=$(tincan curve-keys server.key | cut -d' ' -f2)
tincan rep --count 1 --reply HELLO --curve-secret-key @server.key tcp://127.0.0.1:1 & zmq ask_securely tcp://127.0.0.1:1 "$key"`, "HELLO"},
}

// codeBlocks gives the blocks of a language in a file.
func codeBlocks(t *testing.T, file, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// printed gives the output that a script says it has: "# prints ONE, TWO" behind a line.
func printed(script string) string {
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)# prints (.*)$`).FindAllStringSubmatch(script, -1) {
		lines = append(lines, strings.Split(m[1], ", ")...)
	}
	return strings.Join(lines, "\n")
}

// runScript runs a script, with ports that are free for those in it, and checks its output, white space
// within lines aside.
func runScript(t *testing.T, script, want string) {
	t.Helper()
	ports := map[string]string{}
	script = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllStringFunc(script, func(address string) string {
		if ports[address] == "" {
			ports[address] = "127.0.0.1:" + strconv.Itoa(porttest.Reserve(t))
		}
		return ports[address]
	})
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", script)
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	var output [2]*os.File // files, for what the script leaves running would hold a pipe open
	for i := range output {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		output[i] = file
	}
	cmd.Stdout, cmd.Stderr = output[0], output[1]
	err := cmd.Run()
	if cmd.Process != nil {
		_ = kill()
	}
	var said [2]string
	for i, file := range output {
		text, readErr := os.ReadFile(file.Name())
		if readErr != nil {
			t.Fatal(readErr)
		}
		said[i] = string(text)
	}
	var got []string
	for line := range strings.Lines(said[0]) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if err != nil || strings.Join(got, "\n") != want {
		t.Errorf("%s\n%v, printed %q, want %q\n%s", script, err, got, want, said[1])
	}
}

// buildZeroMQ makes a program of the page's functions, which calls the one that is named with the arguments behind.
func buildZeroMQ(t *testing.T) string {
	t.Helper()
	functions := strings.Join(codeBlocks(t, zeromqPage, "c"), "\n\n")
	var calls strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^int (\w+)\(void \*context((?:, const char \*\w+)+)\) \{$`).FindAllStringSubmatch(functions, -1) {
		if _, ok := zeromqChecks[m[1]]; !ok {
			t.Errorf("no check for %s", m[1])
		}
		arguments := "context"
		for i := range strings.Count(m[2], ",") {
			arguments += fmt.Sprintf(", argv[%d]", i+2)
		}
		fmt.Fprintf(&calls, "    if (strcmp(argv[1], %q) == 0)\n        failed = %s(%s);\n", m[1], m[1], arguments)
	}
	for name := range zeromqChecks {
		if !strings.Contains(calls.String(), `"`+name+`"`) {
			t.Errorf("the page has no %s", name)
		}
	}
	if _, err := os.Stat("/usr/include/zmq.h"); err != nil {
		missing(t, err)
	}
	program := filepath.Join(t.TempDir(), "zmq")
	source := "#include <ctype.h>\n#include <stdio.h>\n#include <string.h>\n#include <zmq.h>\n\n" + functions + `

int main(int argc, char **argv) {
    void *context = zmq_ctx_new();
    int failed = argc < 3;
` + calls.String() + "    zmq_ctx_term(context);\n    return failed;\n}\n"
	if err := os.WriteFile(program+".c", []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-Wall", "-Wextra", "-Werror", "-o", program, program+".c", "-lzmq").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}
