package zmtp

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestZ85(t *testing.T) {
	// The test case of 32/Z85, and the ends of the range.
	for text, data := range map[string][]byte{
		"HelloWorld": {0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B},
		"":           {}, "00000": {0, 0, 0, 0}, "%nSc0": {255, 255, 255, 255},
	} {
		if got, err := EncodeZ85(data); got != text || err != nil {
			t.Errorf("% x is %q, %v; want %q", data, got, err, text)
		}
		if got, err := DecodeZ85(text); !bytes.Equal(got, data) || err != nil {
			t.Errorf("%q is % x, %v; want % x", text, got, err, data)
		}
	}
	if _, err := EncodeZ85(make([]byte, 5)); err == nil {
		t.Error("5 bytes were encoded")
	}
	for _, text := range []string{"1234", "123456", "1234~", "12 45", "\x001234", "%nSc1", "#####"} {
		if got, err := DecodeZ85(text); err == nil {
			t.Errorf("%q was decoded: % x", text, got)
		} else if strings.Contains(err.Error(), text) {
			t.Errorf("the error %q holds the text", err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		data = data[:len(data)/4*4]
		text, err := EncodeZ85(data)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeZ85(text); !bytes.Equal(got, data) || err != nil {
			t.Fatalf("% x, %v", got, err)
		}
	})
}

func TestKeys(t *testing.T) {
	public, secret, err := GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	if PublicKey(secret) != public {
		t.Error("the public key is not the secret one's")
	}
	got, err := DecodeKey(EncodeKey(public))
	if got != public || err != nil {
		t.Errorf("%x, %v; want %x", got, err, public)
	}
	for _, text := range []string{"", "12345", strings.Repeat("~", 40), strings.Repeat("0", 45)} {
		if _, err := DecodeKey(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}
