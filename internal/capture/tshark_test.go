package capture

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// tshark runs Wireshark's own reader. Where it is missing the test is skipped, but fails in CI.
func tshark(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		const hint = "tshark is missing; Debian's package is tshark (make deps)"
		if os.Getenv("CI") != "" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // no preferences but the default ones
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark %q: %v\n%s", args, err, stderr.Bytes())
	}
	return string(out)
}

// TestWireshark shows that Wireshark finds nothing wrong and follows each
// connection to exactly the bytes that passed.
func TestWireshark(t *testing.T) {
	all := stories()
	path := recordFile(t, func(w *Writer) {
		for _, s := range all {
			w.Connection(s.kind, s.first, s.second).play(s.steps)
		}
	})

	// An empty message looks like an acknowledgement that is sent again, and a reset is always warned of.
	faults := tshark(t, "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
		"-Y", `_ws.malformed || tcp.checksum.status == "Bad" || udp.checksum.status == "Bad" || ip.checksum.status == "Bad" ||`+
			`tcp.analysis.flags && !tcp.analysis.duplicate_ack || _ws.expert.severity >= 0x600000 && !tcp.flags.reset == 1`)
	if faults != "" {
		t.Errorf("tshark finds fault with:\n%s", faults)
	}
	checked := strings.Fields(tshark(t, "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-T", "fields", "-e", "tcp.checksum.status", "-e", "udp.checksum.status"))
	for _, status := range checked {
		if status != "1" { // good
			t.Fatalf("checksum status %s", status)
		}
	}
	if len(checked) < len(all) {
		t.Errorf("%d checksums were looked at", len(checked))
	}

	comments := tshark(t, "-r", path, "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment")
	for i, s := range all {
		for _, want := range []string{fmt.Sprintf("tincan %s %d", s.kind, i+1), nameOf(s.first), nameOf(s.second)} {
			if !strings.Contains(comments, want) {
				t.Errorf("%q is not in the comments", want)
			}
		}
	}
	followed := follow(t, path, all)
	for i, s := range all {
		var want [2]string
		for _, st := range s.steps {
			want[st.From] += st.Data
		}
		for side, w := range want {
			if got := followed[i][side]; got != w {
				t.Errorf("%s: following it shows %d bytes of the %v side that are not the %d sent", s.name, len(got), Side(side), len(w))
			}
		}
	}
}

// follow gives what Follow TCP (or UDP) Stream shows of each side of each connection.
func follow(t *testing.T, path string, all []story) [][2]string {
	t.Helper()
	args := []string{"-r", path, "-q"}
	streams := map[string]int{}
	headings := map[string]int{} // to the connection
	for i, s := range all {
		protocol := "tcp"
		if s.kind == Messages && isUDP(s.first) {
			protocol = "udp"
		}
		args = append(args, "-z", fmt.Sprintf("follow,%s,raw,%d", protocol, streams[protocol]))
		headings[fmt.Sprintf("Filter: %s.stream eq %d", protocol, streams[protocol])] = i
		streams[protocol]++
	}
	out := tshark(t, args...)
	sent := make([][2]string, len(all))
	now, node0 := 0, First
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, len(out)+1)
	for lines.Scan() {
		line, indented := strings.CutPrefix(lines.Text(), "\t")
		if i, ok := headings[line]; ok {
			now = i
		} else if node, ok := strings.CutPrefix(line, "Node 0: "); ok {
			node0 = First // who sent the first packet, which of UDP may be either
			if a := addrPort(all[now].second); a.IsValid() && node == a.String() {
				node0 = Second
			}
		} else if data, err := hex.DecodeString(line); err == nil {
			side := node0
			if indented {
				side = node0.Other()
			}
			sent[now][side] += string(data)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return sent
}

// TestWiresharkLost shows that what was lost shows as lost, and is counted.
func TestWiresharkLost(t *testing.T) {
	path := t.TempDir() + "/lost.pcapng"
	if err := os.WriteFile(path, lossy(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := tshark(t, "-r", path, "-Y", "tcp.analysis.lost_segment", "-T", "fields", "-e", "tcp.payload"); out != hex.EncodeToString([]byte("after"))+"\n\n" {
		t.Errorf("what comes after a gap, some bytes and an end: %q", out)
	}
}
