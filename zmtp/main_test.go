package zmtp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tincan-ipc/tincan/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// recordings is how many files there are in testdata/captured: 12 of NULL, 14 each of PLAIN and CURVE, 22 of ZMTP 2.0.
const recordings = 62

// A recording is a peer that sends what it sent once, whatever it gets.
type recording struct {
	io.Reader
	sent bytes.Buffer // what it got
}

func (r *recording) Write(b []byte) (int, error) { return r.sent.Write(b) }

func play(b []byte) *recording { return &recording{Reader: bytes.NewReader(b)} }

// captures gives what real peers sent, by the names of the files (testdata/README.md). That they are all there is a part of the tests.
func captures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/captured/*.bin")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".bin")] = data
	}
	if len(all) != recordings {
		t.Fatalf("%d recordings in testdata/captured, want %d", len(all), recordings)
	}
	return all
}

// wantFault asserts that err is a fault of the peer against the rule, and gives where it is.
func wantFault(t testing.TB, err error, rule string) (offset int64) {
	t.Helper()
	fault, ok := errors.AsType[*ProtocolError](err)
	if !ok {
		t.Fatalf("got %v, want a *ProtocolError", err)
	}
	if fault.Rule != rule || fault.Detail == "" {
		t.Errorf("got %v, want the rule %q", err, rule)
	}
	return fault.Offset
}

func readKey(t testing.TB, name string) [32]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".key")
	if err != nil {
		t.Fatal(err)
	}
	key, err := DecodeKey(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
