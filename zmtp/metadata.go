package zmtp

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
)

// Names of the properties of 37/ZMTP, in the case in which libzmq looks for them.
const (
	PropertySocketType = "Socket-Type"
	PropertyIdentity   = "Identity"
)

// A Property is a name and a value that one end tells the other in the handshake.
// Names that begin with X- are free for applications (37/ZMTP, Connection Metadata).
type Property struct {
	Name  string // 1 to 255 letters, digits or any of -_.+ without regard to case
	Value []byte // at most math.MaxInt32 bytes
}

// MaxProperties bounds how many properties are taken from a peer.
const MaxProperties = 64

// AppendReady appends the body of the command READY to dst.
func AppendReady(dst []byte, properties []Property) []byte {
	return AppendMetadata(appendName(dst, CommandReady), properties)
}

// ParseReady reads the data of the command READY, as [ParseMetadata] does.
func ParseReady(data []byte) ([]Property, error) { return ParseMetadata(data) }

// AppendMetadata appends properties in the form that READY and INITIATE carry.
func AppendMetadata(dst []byte, properties []Property) []byte {
	for _, p := range properties {
		dst = appendName(dst, p.Name)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(p.Value)))
		dst = append(dst, p.Value...)
	}
	return dst
}

// ParseMetadata reads properties, at most [MaxProperties], for each takes many
// times the memory that it has on the wire. It keeps nothing of b. The error is a [*ProtocolError].
func ParseMetadata(b []byte) ([]Property, error) {
	var properties []Property
	for at := 0; at < len(b); {
		if len(properties) == MaxProperties {
			return nil, metadataError(at, "more properties than are taken")
		}
		n := int(b[at])
		rest := b[at+1:]
		if n == 0 || len(rest) < n+4 {
			return nil, metadataError(at, "the name of a property is empty or cut")
		}
		name := rest[:n]
		if !isPropertyName(name) {
			return nil, metadataError(at, "the name of a property holds what is no letter, digit or any of -_.+")
		}
		size, rest := binary.BigEndian.Uint32(rest[n:]), rest[n+4:]
		if size > math.MaxInt32 || int64(size) > int64(len(rest)) {
			return nil, metadataError(at, "the value of a property is longer than what holds it")
		}
		properties = append(properties, Property{Name: string(name), Value: bytes.Clone(rest[:size])})
		at = len(b) - len(rest) + int(size)
	}
	return properties, nil
}

func metadataError(at int, detail string) error {
	return &ProtocolError{Offset: int64(at), Rule: ruleMetadata, Detail: detail}
}

func isPropertyName[T string | []byte](name T) bool {
	for i := range len(name) {
		c := name[i]
		if !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte("-_.+", c) < 0 {
			return false
		}
	}
	return len(name) > 0 && len(name) <= math.MaxUint8
}
