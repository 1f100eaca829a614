package state

import (
	"fmt"
	"slices"
	"strings"
)

// maxPrefixes bounds the prefixes of one follower.
const maxPrefixes = 1024

// prefixes narrow a follower to some keys: sorted, and none begins with another. None at all are every key.
type prefixes []string

// newPrefixes sorts list, and leaves out what another prefix of it has already. The empty prefix is every key.
func newPrefixes(list []string) prefixes {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	var p prefixes
	for _, s := range sorted {
		if s == "" {
			return nil
		}
		if n := len(p); n == 0 || !strings.HasPrefix(s, p[n-1]) {
			p = append(p, s)
		}
	}
	return p
}

// match reports whether key has one of p. What sorts between a prefix and the key begins with that prefix as well, so that
// only the last one that is not after the key can match.
func (p prefixes) match(key string) bool {
	if len(p) == 0 {
		return true
	}
	i, found := slices.BinarySearch(p, key)
	return found || i > 0 && strings.HasPrefix(key, p[i-1])
}

// checkPrefixes bounds what a client may ask for.
func checkPrefixes(list []string, maxKey int) error {
	if len(list) > maxPrefixes {
		return fmt.Errorf("%w: %d prefixes, at most %d", ErrKey, len(list), maxPrefixes)
	}
	for _, s := range list {
		if len(s) > maxKey {
			return fmt.Errorf("%w: a prefix of %d bytes, at most %d", ErrKey, len(s), maxKey)
		}
	}
	return nil
}
