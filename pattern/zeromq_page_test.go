package pattern_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/tincan-ipc/tincan/pattern"
)

// TestComingFromZeroMQ holds the page, and the README, to the code: the Go that they show is that of the examples
// here, which run, and no option is left out.
func TestComingFromZeroMQ(t *testing.T) {
	examples := unindented(t, "zeromq_example_test.go")
	page := read(t, "../docs/coming-from-zeromq.md")
	shown := goBlocks(page)
	if len(shown) < 10 {
		t.Errorf("the page shows %d snippets", len(shown))
	}
	for _, block := range goBlocks(read(t, "../README.md")) {
		if strings.Contains(block, "pattern.") {
			shown = append(shown, block)
		}
	}
	for _, block := range shown {
		if !strings.Contains(examples, trimLines(block)) {
			t.Errorf("no example has\n%s", block)
		}
	}
	for option := range reflect.TypeFor[pattern.Options]().Fields() {
		if !strings.Contains(page, "`"+option.Name) {
			t.Errorf("the page lacks the option %s", option.Name)
		}
	}
	for _, name := range regexp.MustCompile("`(Err[A-Z]\\w+|Event[A-Z]\\w+)`").FindAllStringSubmatch(page, -1) {
		if !strings.Contains(read(t, "event.go"), name[1]) {
			t.Errorf("the page has %s, which is not there", name[1])
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// goBlocks gives what stands between ```go and ``` in a text.
func goBlocks(text string) (blocks []string) {
	for _, m := range regexp.MustCompile("(?s)\n```go\n(.*?)\n```\n").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

func unindented(t *testing.T, file string) string {
	t.Helper()
	return trimLines(read(t, file))
}

// trimLines takes the white space off each line's beginning.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, "\t ")
	}
	return strings.Join(lines, "\n")
}
