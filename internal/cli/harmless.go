package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// harmless gives text that somebody else wrote in a form that does nothing to a terminal but show it, on one line
// and in as many cells as ansi.StringWidth says. Control characters, among them those that begin escape
// sequences, what turns the direction of writing, what can't be seen and what terminals disagree about the width
// of appear as in a Go string: \x1b, \u202e, \ufe0f. Printable ASCII, the backslash too, stays as it is.
func harmless(text string) string {
	if plainASCII(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		cluster, width := ansi.FirstGraphemeCluster(text, ansi.GraphemeWidth)
		if sure(cluster, width) {
			b.WriteString(cluster)
		} else {
			writeRunes(&b, cluster)
		}
		text = text[len(cluster):]
	}
	return b.String()
}

func plainASCII(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// maxMarks bounds the bytes of one character with the marks on it, which a terminal may stack over other lines.
const maxMarks = 16

// sure reports whether every terminal shows what a user would call one character, in as many cells as the others.
func sure(cluster string, width int) bool {
	if width == 0 || len(cluster) > maxMarks || ansi.WcWidth.StringWidth(cluster) != width {
		return false
	}
	for i, r := range cluster {
		if _, size := utf8.DecodeRuneInString(cluster[i:]); r == utf8.RuneError && size == 1 || !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// writeRunes writes the runes of a character one by one, those that are not sure escaped.
func writeRunes(b *strings.Builder, cluster string) {
	for i, r := range cluster {
		_, size := utf8.DecodeRuneInString(cluster[i:])
		one := cluster[i : i+size]
		if size < len(cluster) && sure(one, ansi.StringWidth(one)) {
			b.WriteString(one)
		} else if r == utf8.RuneError && size == 1 {
			b.WriteString(`\x` + strconv.FormatUint(uint64(one[0]), 16))
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
}

// harmlessJSON gives the same JSON on one line, with escapes in place of the characters of its strings that could do
// something to a terminal.
func harmlessJSON(text []byte) []byte {
	if plainASCII(string(text)) {
		return text
	}
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r < ' ':
			out = append(out, ' ') // white space between tokens: within a string JSON has it escaped
		case strconv.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
