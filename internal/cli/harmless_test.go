package cli

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func TestHarmless(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "",
		`door "open" C:\new`:        `door "open" C:\new`,
		"Grüße, Ελλάδα, 缶と糸, न":     "Grüße, Ελλάδα, 缶と糸, न",
		"cafe\u0301":                "cafe\u0301", // as it is written in NFD
		"🥫":                         "🥫",
		"a\x1b[2Jb":                 `a\x1b[2Jb`,
		"\x1b]0;title\a":            `\x1b]0;title\a`,
		"one\ntwo\r\tthree\x00":     `one\ntwo\r\tthree\x00`,
		"\u009b31m":                 `\u009b31m`, // CSI in one character
		"\x7f":                      `\x7f`,
		"a\u202egpj.exe":            `a\u202egpj.exe`,
		"\u2066x\u2069":             `\u2066x\u2069`,
		"zero\u200bwidth\ufeff":     `zero\u200bwidth\ufeff`,
		"\xff\xc3":                  `\xff\xc3`,
		"\u2028":                    `\u2028`,
		"👨\u200d👩":                  `👨\u200d👩`,
		"❤\ufe0f":                   `❤\ufe0f`,
		"\U000e0041":                `\U000e0041`,
		"\ue000":                    `\ue000`,
		"\u0301x":                   `\u0301x`, // a mark on nothing
		strings.Repeat("\u0301", 9): strings.Repeat(`\u0301`, 9),
	} {
		if got := harmless(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	if got := harmless("Z" + strings.Repeat("\u0334", 40)); strings.Contains(got, "\u0334") {
		t.Errorf("a tower of marks stays: %q", got)
	}
}

func FuzzHarmless(f *testing.F) {
	for _, seed := range []string{"", "a\x1b[2J", "\u009b", "👨\u200d👩\u200d👧", "e\u0301\u0301", "\xff\xfe", "🇩🇪🇩", "각", "ก็"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := harmless(text)
		checkHarmless(t, got)
		if again := harmless(got); again != got {
			t.Errorf("%q becomes %q, and that %q", text, got, again)
		}
		if len(got) > 6*len(text) {
			t.Errorf("%d bytes become %d", len(text), len(got))
		}
	})
}

// checkHarmless checks that a terminal shows text on one line, and that all agree about its width.
func checkHarmless(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%q is not UTF-8", text)
	}
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r <= 0x9f || strings.ContainsRune("\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufe0f\ufeff", r) {
			t.Errorf("%q has %U", text, r)
		}
	}
	if narrow, wide := ansi.WcWidth.StringWidth(text), ansi.StringWidth(text); narrow != wide {
		t.Errorf("%q is %d or %d cells wide", text, narrow, wide)
	}
}

func FuzzHarmlessJSON(f *testing.F) {
	for _, seed := range []string{`{"a": "\u001b"}`, "\"\u009b31m\"", "\"\U000e0041\"", "[1,\n\t2]", "\"\u202e\"", "\"\x7f\"", "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want, got any
		if json.Unmarshal(text, &want) != nil {
			t.Skip()
		}
		line := harmlessJSON(text)
		if err := json.Unmarshal(line, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives %q: %v", text, line, err)
		}
		for _, r := range string(line) {
			if r < ' ' || r >= 0x7f && r <= 0x9f {
				t.Errorf("%q has %U", line, r)
			}
		}
	})
}
