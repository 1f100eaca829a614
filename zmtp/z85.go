package zmtp

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// z85 holds the digits of base 85, by value (32/Z85).
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// EncodeZ85 writes b as text, five characters for four bytes (32/Z85). The length
// of b must be a multiple of four.
func EncodeZ85(b []byte) (string, error) {
	if len(b)%4 != 0 {
		return "", fmt.Errorf("z85: %d bytes are no multiple of 4", len(b))
	}
	s := make([]byte, 0, len(b)/4*5)
	for ; len(b) > 0; b = b[4:] {
		v := binary.BigEndian.Uint32(b)
		for d := uint32(85 * 85 * 85 * 85); d > 0; d /= 85 {
			s = append(s, z85[v/d%85])
		}
	}
	return string(s), nil
}

// DecodeZ85 reads what [EncodeZ85] writes. Its errors tell positions, never
// characters, for the text may be a secret.
func DecodeZ85(s string) ([]byte, error) {
	if len(s)%5 != 0 {
		return nil, fmt.Errorf("z85: %d characters are no multiple of 5", len(s))
	}
	b := make([]byte, 0, len(s)/5*4)
	for at := 0; at < len(s); at += 5 {
		var v uint64
		for i := at; i < at+5; i++ {
			digit := strings.IndexByte(z85, s[i])
			if digit < 0 {
				return nil, fmt.Errorf("z85: character %d is no digit of base 85", i+1)
			}
			v = v*85 + uint64(digit)
		}
		if v > math.MaxUint32 {
			return nil, fmt.Errorf("z85: characters %d to %d are over 32 bits", at+1, at+5)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b, nil
}

// EncodeKey writes a key as the 40 characters in which ZeroMQ shows keys.
func EncodeKey(key [32]byte) string {
	s, _ := EncodeZ85(key[:]) // 32 is a multiple of 4
	return s
}

// DecodeKey reads a key of 40 characters.
func DecodeKey(s string) (key [32]byte, err error) {
	if len(s) != 40 {
		return key, fmt.Errorf("z85: a key has 40 characters, not %d", len(s))
	}
	b, err := DecodeZ85(s)
	copy(key[:], b)
	return key, err
}
