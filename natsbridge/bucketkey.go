package natsbridge

// A bucket's keys are subjects of letters, digits and - / _ = alone, without an empty token (JetStream, ADR-8). What a state's key
// has beside these is written as = and two hexadecimal digits, as are = itself and a dot that would part an empty token.

// bucketKey is a key of a state as one of a bucket.
func bucketKey(key string) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(key)+8)
	for i := range len(key) {
		c := key[i]
		parts := c == '.' && i > 0 && i+1 < len(key) && key[i-1] != '.' && key[i+1] != '.'
		if parts || isKeyByte(c) {
			b = append(b, c)
		} else {
			b = append(b, '=', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

func isKeyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '/' || c == '_'
}

// stateKey is a key of a bucket as the state's. It is false for one that bucketKey doesn't give.
func stateKey(key string) (string, bool) {
	b := make([]byte, 0, len(key))
	for i := 0; i < len(key); i++ {
		if key[i] != '=' {
			b = append(b, key[i])
			continue
		}
		if i+2 >= len(key) || digit(key[i+1]) < 0 || digit(key[i+2]) < 0 {
			return "", false
		}
		b = append(b, byte(digit(key[i+1])<<4|digit(key[i+2])))
		i += 2
	}
	return string(b), bucketKey(string(b)) == key
}
