package cli

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/tincan-ipc/tincan"
)

// A partsFormat is how a message of several parts is one line of text.
type partsFormat struct {
	name      string // "text", "hex" or "json"
	separator string // between the parts of text and hex
}

const formatHelp = `One line of input is one message, and one message is one line of output. With
--format text, the default, the parts of a message stand between TABs (or what
--separator says) as they are; a part that holds a TAB or a line feed can't be told
apart there, but with hex each part is hexadecimal digits, and with json a message
is {"parts":["one","two"]}, where {"base64":"/w=="} stands for a part that is not UTF-8.`

// newPartsFormat reads the values of --format and --separator.
func newPartsFormat(name, separator string) (*partsFormat, error) {
	switch name {
	case "text", "hex", "json":
	default:
		return nil, &usageError{problem: fmt.Sprintf("unknown format %q", name), remedy: "--format takes text, hex or json"}
	}
	if separator == "" || separator == "\n" {
		return nil, &usageError{problem: fmt.Sprintf("%q can't separate parts", separator), remedy: "--separator takes one or more characters, no line feed"}
	}
	if name == "hex" && bytes.ContainsAny([]byte(separator), "0123456789abcdefABCDEF") {
		return nil, &usageError{problem: fmt.Sprintf("%q can't separate parts that are hexadecimal digits", separator), remedy: "leave --separator out, or take another"}
	}
	return &partsFormat{name: name, separator: separator}, nil
}

// appendLine appends a message as a line, without the line feed at its end.
func (f *partsFormat) appendLine(line []byte, parts [][]byte) []byte {
	if f.name == "json" {
		return appendJSON(line, parts)
	}
	for i, part := range parts {
		if i > 0 {
			line = append(line, f.separator...)
		}
		if f.name == "hex" {
			line = hex.AppendEncode(line, part)
		} else {
			line = append(line, part...)
		}
	}
	return line
}

func appendJSON(line []byte, parts [][]byte) []byte {
	m := jsonMessage{Parts: make([]jsonPart, len(parts))}
	for i, part := range parts {
		m.Parts[i] = part
	}
	b, err := marshalPlain(m)
	if err != nil {
		panic(err) // strings alone, which always marshal
	}
	return append(line, b...)
}

// marshalPlain is [json.Marshal] with <, > and & as they are: this is no web page.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// parts cuts a line, without the line feed at its end, into the parts of a
// message. They refer to line where they can.
func (f *partsFormat) parts(line []byte) ([][]byte, error) {
	if f.name == "json" {
		return parseJSON(line)
	}
	parts := bytes.Split(line, []byte(f.separator))
	if f.name == "hex" {
		for i, part := range parts {
			n, err := hex.Decode(part, part)
			if err != nil {
				return nil, fmt.Errorf("part %d of a line of input is not hexadecimal: %w", i+1, err)
			}
			parts[i] = part[:n]
		}
	}
	return parts, nil
}

func parseJSON(line []byte) ([][]byte, error) {
	var m jsonMessage
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("a line of input is not a JSON message: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("a line of input goes on after its JSON message")
	}
	if len(m.Parts) == 0 {
		return nil, errors.New("a line of input is a JSON message without parts")
	}
	parts := make([][]byte, len(m.Parts))
	for i, part := range m.Parts {
		parts[i] = part
	}
	return parts, nil
}

type jsonMessage struct {
	Parts []jsonPart `json:"parts"`
}

// A jsonPart is a string, or {"base64":"..."} where the bytes are no UTF-8.
type jsonPart []byte

type base64Part struct {
	Base64 *string `json:"base64"`
}

func (p jsonPart) MarshalJSON() ([]byte, error) {
	if utf8.Valid(p) {
		return marshalPlain(string(p))
	}
	text := base64.StdEncoding.EncodeToString(p)
	return json.Marshal(base64Part{&text})
}

func (p *jsonPart) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var text string
		err := json.Unmarshal(b, &text)
		*p = jsonPart(text)
		return err
	}
	var part base64Part
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&part); err != nil {
		return err
	}
	if part.Base64 == nil {
		return errors.New(`a part is a string or {"base64":"..."}`)
	}
	raw, err := base64.StdEncoding.DecodeString(*part.Base64)
	*p = raw
	return err
}

// maxLine bounds a line of input: the longest message there is, in the longest of the formats.
const maxLine = 4 * tincan.DefaultMaxMessage

// A lineReader gives the lines of an input.
type lineReader struct {
	in   *bufio.Reader
	line []byte
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, 64<<10)}
}

// next gives the next line without its line feed, valid until the call after; io.EOF after the last, which need not end in one.
func (r *lineReader) next() ([]byte, error) {
	r.line = r.line[:0]
	for {
		piece, err := r.in.ReadSlice('\n')
		if err == nil && len(r.line) == 0 {
			return piece[:len(piece)-1], nil // the common case copies nothing
		}
		r.line = append(r.line, piece...)
		switch {
		case len(r.line) > maxLine:
			return nil, fmt.Errorf("a line of input of more than %v", tincan.Size(maxLine))
		case err == nil:
			return r.line[:len(r.line)-1], nil
		case errors.Is(err, io.EOF) && len(r.line) > 0:
			return r.line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
