package service

import (
	"fmt"
	"strings"

	"github.com/tincan-ipc/tincan"
)

// A Service is one of the ready services.
type Service struct {
	// Name is what [Lookup] finds it by.
	Name string
	// Summary says in a few words what it does.
	Summary string
	// Endpoints are its default endpoints; none where the user must give one.
	Endpoints []string
	// Stream serves a byte stream; nil where the service has messages alone.
	Stream StreamHandler
	// Message gives a handler for the options of an endpoint, and an error
	// where it doesn't know one of them; nil where the service has streams alone.
	Message func(o tincan.Options) (MessageHandler, error)
	// Try gives a line for the shell that uses the service on e.
	Try func(e *tincan.Endpoint) string
}

// Services lists the ready services.
func Services() []Service {
	return []Service{
		echoService, incrementService, helloService, calcService, sumService,
		discardService, daytimeService, timeService, chargenService,
	}
}

// Lookup finds a service by its name.
func Lookup(name string) (Service, bool) {
	for _, s := range Services() {
		if s.Name == name {
			return s, true
		}
	}
	return Service{}, false
}

// plain makes a Service.Message of a handler that takes no options.
func plain(name string, h MessageHandler) func(tincan.Options) (MessageHandler, error) {
	return func(o tincan.Options) (MessageHandler, error) {
		if o.Format != "" {
			return nil, fmt.Errorf("option format: %s has one format only", name)
		}
		return h, nil
	}
}

// tryConnect is a Service.Try that sends what a command of the shell prints
// through tincan connect with flags.
func tryConnect(command, flags string) func(e *tincan.Endpoint) string {
	return func(e *tincan.Endpoint) string {
		return command + " | " + connectLine(flags, e)
	}
}

// tryListen is for services that speak first: nothing is sent to a stream, an empty line as a message.
func tryListen(flags string) func(e *tincan.Endpoint) string {
	return func(e *tincan.Endpoint) string {
		if e.Streams() {
			return connectLine(flags, e) + " </dev/null"
		}
		return "echo | " + connectLine(flags, e)
	}
}

func connectLine(flags string, e *tincan.Endpoint) string {
	if flags != "" {
		flags += " "
	}
	return "tincan connect " + flags + dialable(e)
}

// dialable gives the URL of e for a client on this host, quoted for a shell.
func dialable(e *tincan.Endpoint) string {
	d := *e
	d.Options = tincan.Options{}
	switch {
	case d.Host == "*" && d.Scheme == "vsock":
		d.Host = "local"
	case d.Host == "*":
		d.Host = "localhost"
	}
	return quote(d.String())
}

// quote protects what a shell would not take as it is; zsh minds brackets too.
func quote(word string) string {
	if strings.ContainsAny(word, " \t\n\"'`\\$&|;<>()*?!#~{}[]") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}
