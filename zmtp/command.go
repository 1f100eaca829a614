package zmtp

import (
	"encoding/binary"
	"time"
)

// Names of the commands of 37/ZMTP.
const (
	CommandReady     = "READY"
	CommandError     = "ERROR"
	CommandPing      = "PING"
	CommandPong      = "PONG"
	CommandSubscribe = "SUBSCRIBE"
	CommandCancel    = "CANCEL"

	commandHello    = "HELLO"
	commandWelcome  = "WELCOME"
	commandInitiate = "INITIATE"
	commandMessage  = "MESSAGE"
)

// A Command is the body of a frame with [FlagCommand].
type Command struct {
	Name string
	Data []byte // a part of the body that was parsed
}

// ParseCommand reads the body of a command. For the names of this package it
// takes no memory. The error is a [*ProtocolError].
func ParseCommand(body []byte) (Command, error) {
	if len(body) == 0 {
		return Command{}, &ProtocolError{Rule: ruleCommand, Detail: "empty command"}
	}
	n := int(body[0])
	if n == 0 || n > len(body)-1 {
		return Command{}, &ProtocolError{Rule: ruleCommand, Detail: "the name of a command is empty or cut"}
	}
	name, data := body[1:1+n], body[1+n:]
	for _, c := range name {
		if !isLetter(c) {
			return Command{}, &ProtocolError{Rule: ruleCommand, Detail: "the name of a command holds what is no letter"}
		}
	}
	return Command{Name: commandName(name), Data: data}, nil
}

// commandName makes a string of a name, without taking memory where the name is known.
func commandName(name []byte) string {
	switch string(name) {
	case CommandPing:
		return CommandPing
	case CommandPong:
		return CommandPong
	case CommandSubscribe:
		return CommandSubscribe
	case CommandCancel:
		return CommandCancel
	case CommandReady:
		return CommandReady
	case CommandError:
		return CommandError
	case commandHello:
		return commandHello
	case commandWelcome:
		return commandWelcome
	case commandInitiate:
		return commandInitiate
	case commandMessage:
		return commandMessage
	}
	return string(name)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// AppendCommand appends the body of a command to dst, for [Session.Seal] or
// [AppendFrame] with [FlagCommand]. The name has 1 to 255 letters.
func AppendCommand(dst []byte, name string, data []byte) []byte {
	return append(appendName(dst, name), data...)
}

func appendName(dst []byte, name string) []byte {
	return append(append(dst, byte(len(name))), name...)
}

// MaxPingContext is how long the context of a PING may be.
const MaxPingContext = 16

// maxTTL is the longest time to live that is sent, in tenths of a second: libzmq
// counts milliseconds in 16 bits, and hangs up early on what overflows them.
const maxTTL = 655

// AppendPing appends the body of the command PING (37/ZMTP, Connection
// Heartbeating). The peer hangs up when it hears nothing for ttl, rounded up
// to tenths of a second; over 65.5 s is 65.5 s; zero or negative is no limit. It
// echoes the context, of which at most [MaxPingContext] bytes are sent.
func AppendPing(dst []byte, ttl time.Duration, context []byte) []byte {
	const unit = time.Second / 10
	tenths := uint16(min(max(ttl, 0), maxTTL*unit) / unit)
	if ttl > 0 && time.Duration(tenths)*unit < min(ttl, maxTTL*unit) {
		tenths++
	}
	dst = binary.BigEndian.AppendUint16(appendName(dst, CommandPing), tenths)
	return append(dst, context[:min(len(context), MaxPingContext)]...)
}

// ParsePing reads the data of the command PING. The error is a [*ProtocolError].
func ParsePing(data []byte) (ttl time.Duration, context []byte, err error) {
	if len(data) < 2 {
		return 0, nil, &ProtocolError{Rule: ruleHeartbeat, Detail: "PING without a time to live"}
	}
	if len(data) > 2+MaxPingContext {
		return 0, nil, &ProtocolError{Rule: ruleHeartbeat, Detail: "the context of PING has more than 16 bytes"}
	}
	return time.Duration(binary.BigEndian.Uint16(data)) * time.Second / 10, data[2:], nil
}

// AppendPong appends the body of the command PONG, which echoes the context
// of a PING.
func AppendPong(dst, context []byte) []byte {
	return append(appendName(dst, CommandPong), context[:min(len(context), MaxPingContext)]...)
}

// ParsePong gives the context that PONG echoes. The error is a [*ProtocolError].
func ParsePong(data []byte) (context []byte, err error) {
	if len(data) > MaxPingContext {
		return nil, &ProtocolError{Rule: ruleHeartbeat, Detail: "the context of PONG has more than 16 bytes"}
	}
	return data, nil
}

// AppendSubscribe appends the body of the command SUBSCRIBE, for a peer of 3.1
// or later. [Session.SealSubscription] chooses the form by the peer.
func AppendSubscribe(dst, topic []byte) []byte {
	return append(appendName(dst, CommandSubscribe), topic...)
}

// AppendCancel appends the body of the command CANCEL, which takes one SUBSCRIBE back.
func AppendCancel(dst, topic []byte) []byte {
	return append(appendName(dst, CommandCancel), topic...)
}

// A Subscription is a subscriber's wish for messages that begin with Topic, or
// that it is taken back.
type Subscription struct {
	Topic  []byte // a part of the body that was parsed
	Cancel bool
}

// ParseSubscription reads a subscription in either form: the commands SUBSCRIBE and
// CANCEL of 3.1, and a message of a byte 1 or 0 and the topic, as before it. A
// peer of any version may send either. Where ok is false the frame is none: another
// command, or a message that an XSUB sends upstream.
func ParseSubscription(f Flags, body []byte) (s Subscription, ok bool) {
	if f&FlagCommand == 0 {
		if f&FlagMore != 0 || len(body) == 0 || body[0] > 1 {
			return Subscription{}, false
		}
		return Subscription{Topic: body[1:], Cancel: body[0] == 0}, true
	}
	c, err := ParseCommand(body)
	if err != nil || c.Name != CommandSubscribe && c.Name != CommandCancel {
		return Subscription{}, false
	}
	return Subscription{Topic: c.Data, Cancel: c.Name == CommandCancel}, true
}

// AppendError appends the body of the command ERROR, which ends a handshake. A
// reason has at most 255 bytes; the rest is left out.
func AppendError(dst []byte, reason string) []byte {
	return appendName(appendName(dst, CommandError), reason[:min(len(reason), 255)])
}

// ParseError gives the reason told by the command ERROR. The error is a [*ProtocolError].
func ParseError(data []byte) (reason string, err error) {
	if len(data) == 0 || int(data[0]) != len(data)-1 {
		return "", &ProtocolError{Rule: ruleHandshake, Detail: "the reason of ERROR is cut, or is followed by more"}
	}
	return string(data[1:]), nil
}
