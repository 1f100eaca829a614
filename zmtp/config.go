package zmtp

import (
	"errors"
	"fmt"
	"strings"
)

// A Config says what this end of a connection is. It is only read, and may serve
// many handshakes at once.
type Config struct {
	Type SocketType
	// Identity is what a ROUTER at the other end addresses this end by: at
	// most 255 bytes, of which the first is not 0. Empty: the ROUTER makes one up.
	Identity []byte
	// Mechanism is this end's security, and the only one that it talks with; nil is NULL, which has none.
	Mechanism Mechanism
	// Properties are told to the peer besides the type and the identity.
	// A peer of 2.0 is told of none.
	Properties []Property
}

// A Peer is what the other end of a connection said of itself. Only what
// CURVE told is proved; with PLAIN, User is.
type Peer struct {
	Major, Minor byte // the version of the protocol that it speaks: 2.0, 3.0, 3.1 or later
	Type         SocketType
	Identity     []byte // empty where it has none
	// Properties are all that it told, Socket-Type and Identity among them. A peer of 2.0 tells none.
	Properties []Property
	Mechanism  string   // NULL, PLAIN or CURVE
	User       string   // whom a PLAIN client said it was, and a server accepted
	Key        [32]byte // the permanent public key of the CURVE peer
}

// AtLeast reports whether the peer speaks this version or a later one. Peers of
// 3.1 know SUBSCRIBE, CANCEL, PING and PONG; to others no command is sent.
func (p *Peer) AtLeast(major, minor byte) bool {
	return p.Major > major || p.Major == major && p.Minor >= minor
}

// Property gives the value of a property, whose name is compared without
// regard to case, and whether the peer told it.
func (p *Peer) Property(name string) (value []byte, ok bool) {
	for _, q := range p.Properties {
		if strings.EqualFold(q.Name, name) {
			return q.Value, true
		}
	}
	return nil, false
}

// check refuses what can't be sent.
func (c *Config) check() error {
	if !c.Type.valid() {
		return fmt.Errorf("zmtp: there is no %v", c.Type)
	}
	if err := checkIdentity(c.Identity); err != nil {
		return fmt.Errorf("zmtp: %w", err)
	}
	for _, p := range c.Properties {
		if !isPropertyName(p.Name) {
			return fmt.Errorf("zmtp: %q can't be the name of a property", p.Name)
		}
	}
	if m, ok := c.Mechanism.(PlainClient); ok && (len(m.User) > 255 || len(m.Password) > 255) {
		return errors.New("zmtp: a user name or password has more than 255 bytes")
	}
	if n := len(c.properties()); n > MaxProperties {
		return fmt.Errorf("zmtp: %d properties, more than %d", n, MaxProperties)
	}
	if n := len(AppendReady(nil, c.properties())); n > MaxHandshakeCommand/2 {
		return fmt.Errorf("zmtp: properties take %d bytes, more than %d", n, MaxHandshakeCommand/2)
	}
	return nil
}

func checkIdentity(identity []byte) error {
	if len(identity) > 255 {
		return errors.New("an identity has more than 255 bytes")
	}
	if len(identity) > 0 && identity[0] == 0 {
		return errors.New("an identity begins with byte 0")
	}
	return nil
}

// properties are all that the peer is told.
func (c *Config) properties() []Property {
	all := []Property{{Name: PropertySocketType, Value: []byte(c.Type.String())}}
	if c.Type.announces() || len(c.Identity) > 0 {
		all = append(all, Property{Name: PropertyIdentity, Value: c.Identity})
	}
	return append(all, c.Properties...)
}
