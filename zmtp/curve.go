package zmtp

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
)

// GenerateKeys makes a permanent pair of keys for CURVE. The error is the
// system's, whose randomness failed.
func GenerateKeys() (public, secret [32]byte, err error) {
	p, s, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return public, secret, fmt.Errorf("zmtp: no key pair: %w", err)
	}
	return *p, *s, nil
}

// PublicKey gives the public key that belongs to a secret one.
func PublicKey(secret [32]byte) (public [32]byte) {
	curve25519.ScalarBaseMult(&public, &secret)
	return public
}

// A CurveClient connects only to the server that has the secret key to ServerKey,
// and tells it who it is by its own pair of keys. What follows is encrypted and
// authenticated (25/ZMTP-CURVE).
type CurveClient struct {
	ServerKey            [32]byte // the server's public key
	PublicKey, SecretKey [32]byte // the client's own
}

// Name gives CURVE.
func (CurveClient) Name() string { return "CURVE" }

// String tells the public keys.
func (m CurveClient) String() string {
	return fmt.Sprintf("CURVE client %s of server %s", EncodeKey(m.PublicKey), EncodeKey(m.ServerKey))
}

// GoString tells no more than String.
func (m CurveClient) GoString() string { return m.String() }

func (CurveClient) asServer() bool { return false }

// A CurveServer lets in clients that know its public key, if Clients holds
// theirs or Allow says so. With both nil it lets in whoever knows its public key:
// messages are then encrypted, and clients sure of the server, which can't be sure of them.
type CurveServer struct {
	SecretKey [32]byte
	Clients   [][32]byte // public keys
	// Allow is called by the handshakes, of which many may run at once, with a key
	// that the client has proved to own.
	Allow func(key [32]byte) bool
}

// Name gives CURVE.
func (CurveServer) Name() string { return "CURVE" }

// String tells the public key.
func (m CurveServer) String() string { return "CURVE server " + EncodeKey(PublicKey(m.SecretKey)) }

// GoString tells no more than String.
func (m CurveServer) GoString() string { return m.String() }

func (CurveServer) asServer() bool { return true }

func (m CurveServer) allows(key [32]byte) bool {
	if m.Clients == nil && m.Allow == nil {
		return true
	}
	return slices.Contains(m.Clients, key) || m.Allow != nil && m.Allow(key)
}

// Prefixes of nonces: those of 16 characters go before a counter of 8 bytes, those of 8 before 16 random bytes.
const (
	nonceHello         = "CurveZMQHELLO---"
	nonceInitiate      = "CurveZMQINITIATE"
	nonceReady         = "CurveZMQREADY---"
	nonceClientMessage = "CurveZMQMESSAGEC"
	nonceServerMessage = "CurveZMQMESSAGES"
	nonceWelcome       = "WELCOME-"
	nonceVouch         = "VOUCH---"
)

// Lengths of what the commands hold after their names (26/CURVEZMQ, High-level Grammar).
const (
	shortNonce  = 8
	longNonce   = 16
	cookieSize  = 96
	helloSize   = 2 + 72 + 32 + shortNonce + 64 + box.Overhead
	welcomeSize = longNonce + 32 + cookieSize + box.Overhead
	vouchSize   = longNonce + 64 + box.Overhead
	initiateMin = cookieSize + shortNonce + 32 + vouchSize + box.Overhead
)

func counterNonce(prefix string, counter uint64) *[24]byte {
	var n [24]byte
	binary.BigEndian.PutUint64(n[copy(n[:], prefix):], counter)
	return &n
}

func longNonceOf(prefix string, random []byte) *[24]byte {
	var n [24]byte
	copy(n[copy(n[:], prefix):], random)
	return &n
}

// randomBytes can't fail: the program ends where the system has no randomness.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func key(b []byte) *[32]byte { return (*[32]byte)(b) }

func (m CurveClient) handshake(h *handshake) error {
	public, secret, err := GenerateKeys() // of this connection alone
	if err != nil {
		return err
	}
	hello := append(appendName(nil, commandHello), 1, 0)
	hello = append(hello, make([]byte, 72)...)
	hello = append(hello, public[:]...)
	hello = binary.BigEndian.AppendUint64(hello, 1)
	hello = box.Seal(hello, make([]byte, 64), counterNonce(nonceHello, 1), &m.ServerKey, &secret)
	if err := h.writeCommand(hello); err != nil {
		return err
	}

	data, err := h.readCommand(commandWelcome)
	if err != nil {
		return err
	}
	if len(data) != welcomeSize {
		return h.fault(ruleCurve, "WELCOME is not 168 bytes long")
	}
	welcome, ok := box.Open(nil, data[longNonce:], longNonceOf(nonceWelcome, data[:longNonce]), &m.ServerKey, &secret)
	if !ok {
		return h.fault(ruleCurve, "the box of WELCOME does not open: another key than the server's made it")
	}
	serverKey, cookie := key(welcome[:32]), welcome[32:]

	vouchNonce := randomBytes(longNonce)
	vouch := box.Seal(nil, slices.Concat(public[:], m.ServerKey[:]), longNonceOf(nonceVouch, vouchNonce), serverKey, &m.SecretKey)
	content := AppendMetadata(slices.Concat(m.PublicKey[:], vouchNonce, vouch), h.config.properties())
	initiate := append(appendName(nil, commandInitiate), cookie...)
	initiate = binary.BigEndian.AppendUint64(initiate, 2)
	initiate = box.Seal(initiate, content, counterNonce(nonceInitiate, 2), serverKey, &secret)
	if err := h.writeCommand(initiate); err != nil {
		return err
	}

	if data, err = h.readCommand(CommandReady); err != nil {
		return err
	}
	if len(data) < shortNonce+box.Overhead {
		return h.fault(ruleCurve, "READY is cut")
	}
	counter := binary.BigEndian.Uint64(data)
	metadata, ok := box.Open(nil, data[shortNonce:], counterNonce(nonceReady, counter), serverKey, &secret)
	if !ok {
		return h.fault(ruleCurve, "the box of READY does not open")
	}
	h.peer.Key = m.ServerKey
	h.box = newCurveBox(serverKey, &secret, nonceClientMessage, 2, nonceServerMessage, counter)
	return h.takeMetadata(metadata)
}

func (m CurveServer) handshake(h *handshake) error {
	data, err := h.readCommand(commandHello)
	if err != nil {
		return err
	}
	if len(data) != helloSize || data[0] != 1 || data[1] != 0 {
		return h.fault(ruleCurve, "HELLO is not 200 bytes long, or not of version 1.0")
	}
	clientKey := *key(data[74:106])
	counter := binary.BigEndian.Uint64(data[106:])
	zeros, ok := box.Open(nil, data[114:], counterNonce(nonceHello, counter), &clientKey, &m.SecretKey)
	if !ok || !bytes.Equal(zeros, make([]byte, 64)) {
		return h.fault(ruleCurve, "the box of HELLO does not open: the client has another server's key")
	}

	public, secret, err := GenerateKeys() // of this connection alone
	if err != nil {
		return err
	}
	// The cookie is for servers that keep nothing meanwhile. This one has the connection to keep: any bytes will do.
	cookie := randomBytes(cookieSize)
	nonce := randomBytes(longNonce)
	welcome := append(appendName(nil, commandWelcome), nonce...)
	welcome = box.Seal(welcome, slices.Concat(public[:], cookie), longNonceOf(nonceWelcome, nonce), &clientKey, &m.SecretKey)
	if err := h.writeCommand(welcome); err != nil {
		return err
	}

	if data, err = h.readCommand(commandInitiate); err != nil {
		return err
	}
	if len(data) < initiateMin {
		return h.fault(ruleCurve, "INITIATE is shorter than 257 bytes")
	}
	if !bytes.Equal(data[:cookieSize], cookie) {
		return h.fault(ruleCurve, "INITIATE has another cookie than WELCOME")
	}
	helloCounter := counter
	if counter = binary.BigEndian.Uint64(data[cookieSize:]); counter <= helloCounter {
		return h.fault(ruleCurve, "the nonce of INITIATE is not above that of HELLO")
	}
	content, ok := box.Open(nil, data[cookieSize+shortNonce:], counterNonce(nonceInitiate, counter), &clientKey, &secret)
	if !ok {
		return h.fault(ruleCurve, "the box of INITIATE does not open")
	}
	h.peer.Key = *key(content[:32])
	vouch, metadata := content[32:32+vouchSize], content[32+vouchSize:]
	proof, ok := box.Open(nil, vouch[longNonce:], longNonceOf(nonceVouch, vouch[:longNonce]), &h.peer.Key, &secret)
	own := PublicKey(m.SecretKey)
	if !ok || !bytes.Equal(proof, slices.Concat(clientKey[:], own[:])) {
		return h.fault(ruleCurve, "the client does not prove to own its key")
	}
	if !m.allows(h.peer.Key) {
		return h.deny("key " + EncodeKey(h.peer.Key))
	}
	if err := h.takeInitiate(metadata); err != nil {
		return err
	}

	ready := binary.BigEndian.AppendUint64(appendName(nil, CommandReady), 1)
	ready = box.Seal(ready, AppendMetadata(nil, h.config.properties()), counterNonce(nonceReady, 1), &clientKey, &secret)
	h.box = newCurveBox(&clientKey, &secret, nonceServerMessage, 1, nonceClientMessage, counter)
	return h.writeCommand(ready)
}
