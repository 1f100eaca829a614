package natsbridge

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan"
)

// DefaultPort is where NATS servers listen for clients.
const DefaultPort = "4222"

// An Endpoint is a subject on the servers of one NATS system: nats://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/SUBJECT[?OPTIONS],
// or tls+nats:// for one that must be encrypted. An empty host is 127.0.0.1.
type Endpoint struct {
	// TLS demands encryption. Without it, it is used where the server asks for it.
	TLS bool
	// User and Password are who connects; a User alone is a token.
	User, Password string
	// Servers are host:port, those to try first. The servers tell of the others that they know.
	Servers []string
	// Subject is a subject without wildcards.
	Subject string
	// Options are what the query says.
	Options Options
}

// Options are the settings of an [Endpoint], as query keys in kebab-case: creds, nkey, ca, cert, key, server-name, queue,
// stream, replicas, max-bytes, ack-wait, max-deliver, dead-letter, timeout. Zero values have defaults.
type Options struct {
	// Creds is a file with a JWT and its key, as nsc makes them. NKey is a file with the seed of a key (an NKEY).
	Creds, NKey string
	// CA is a file with the authorities to trust, Cert and Key the files of a client certificate, all PEM. ServerName
	// is the name that the server's certificate must have, its host without it. Each of them demands TLS.
	CA, Cert, Key, ServerName string
	// Queue is the group of which one member gets each request ("tincan").
	Queue string
	// Timeout bounds a request.
	Timeout time.Duration
	// Stream, Replicas, MaxBytes, AckWait, MaxDeliver and DeadLetter are those of [QueueOptions].
	Stream     string
	Replicas   int
	MaxBytes   tincan.Size
	AckWait    time.Duration
	MaxDeliver int
	DeadLetter string
}

// An optionKey ties a query key to its field: the one place where keys are known.
type optionKey struct {
	key   string
	field func(*Options) any // a pointer to the field
}

var optionKeys = []optionKey{
	{"creds", func(o *Options) any { return &o.Creds }},
	{"nkey", func(o *Options) any { return &o.NKey }},
	{"ca", func(o *Options) any { return &o.CA }},
	{"cert", func(o *Options) any { return &o.Cert }},
	{"key", func(o *Options) any { return &o.Key }},
	{"server-name", func(o *Options) any { return &o.ServerName }},
	{"queue", func(o *Options) any { return &o.Queue }},
	{"timeout", func(o *Options) any { return &o.Timeout }},
	{"stream", func(o *Options) any { return &o.Stream }},
	{"replicas", func(o *Options) any { return &o.Replicas }},
	{"max-bytes", func(o *Options) any { return &o.MaxBytes }},
	{"ack-wait", func(o *Options) any { return &o.AckWait }},
	{"max-deliver", func(o *Options) any { return &o.MaxDeliver }},
	{"dead-letter", func(o *Options) any { return &o.DeadLetter }},
}

const (
	scheme    = "nats"
	tlsScheme = "tls+nats"
)

// IsEndpoint reports whether text begins as an [Endpoint] does.
func IsEndpoint(text string) bool {
	return strings.HasPrefix(text, scheme+"://") || strings.HasPrefix(text, tlsScheme+"://")
}

// ParseEndpoint reads an endpoint. The error is a [*tincan.EndpointError].
func ParseEndpoint(text string) (*Endpoint, error) {
	e, problem, remedy := parse(text)
	if problem != "" {
		return nil, &tincan.EndpointError{Input: withoutPassword(text), Problem: problem, Remedy: remedy}
	}
	return e, nil
}

func parse(text string) (e *Endpoint, problem, remedy string) {
	before, rest, ok := strings.Cut(text, "://")
	if !ok || before != scheme && before != tlsScheme {
		return nil, "it does not begin with nats:// or tls+nats://", "as in nats://127.0.0.1:4222/subject"
	}
	e = &Endpoint{TLS: before == tlsScheme}
	rest, query, _ := strings.Cut(rest, "?")
	authority, subject, _ := strings.Cut(rest, "/")
	var err error
	if e.Subject, err = url.PathUnescape(subject); err != nil {
		return nil, err.Error(), ""
	}
	if problem := subjectFault(e.Subject); problem != "" {
		return nil, problem, "as in nats://127.0.0.1:4222/subject"
	}
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, _ := strings.Cut(authority[:i], ":")
		if e.User, err = url.PathUnescape(user); err == nil {
			e.Password, err = url.PathUnescape(password)
		}
		if err != nil {
			return nil, err.Error(), ""
		}
		hosts = authority[i+1:]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		at, problem := parseServer(host)
		if problem != "" {
			return nil, problem, ""
		}
		e.Servers = append(e.Servers, at)
	}
	if query == "" {
		return e, "", ""
	}
	for pair := range strings.SplitSeq(query, "&") {
		if problem, remedy := e.Options.set(pair); problem != "" {
			return nil, problem, remedy
		}
	}
	return e, "", ""
}

// subjectFault says what is wrong with a subject that is published to or asked, "" for nothing.
func subjectFault(subject string) string {
	if subject == "" {
		return "the subject is missing"
	}
	if len(subject) > MaxSubject {
		return fmt.Sprintf("the subject has more than %d bytes", MaxSubject)
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" {
			return "the subject has an empty token"
		}
		if token == "*" || token == ">" {
			return "the subject has a wildcard"
		}
	}
	if i := strings.IndexFunc(subject, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		return fmt.Sprintf("the subject has %q in it", subject[i])
	}
	return ""
}

func parseServer(text string) (at, problem string) {
	u := url.URL{Host: text}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		if strings.HasSuffix(text, ":") {
			return "", "the port is missing"
		}
		port = DefaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Sprintf("%q is no port", port)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if strings.ContainsAny(host, " @/?") {
		return "", fmt.Sprintf("%q is no host", host)
	}
	return net.JoinHostPort(host, port), ""
}

func (o *Options) set(pair string) (problem, remedy string) {
	key, value, _ := strings.Cut(pair, "=")
	var names []string
	for _, k := range optionKeys {
		names = append(names, k.key)
	}
	i := slices.Index(names, key)
	if i < 0 {
		return fmt.Sprintf("unknown option %q", key), "options here are " + strings.Join(names, ", ")
	}
	text, err := url.QueryUnescape(value)
	if err == nil && text == "" {
		return fmt.Sprintf("option %s: needs a value", key), ""
	}
	if err == nil {
		err = setField(optionKeys[i].field(o), text)
	}
	if err != nil {
		return fmt.Sprintf("option %s: %v", key, err), ""
	}
	return "", ""
}

func setField(field any, text string) (err error) {
	switch p := field.(type) {
	case *string:
		*p = text
	case *int:
		if *p, err = strconv.Atoi(text); err != nil || *p < 1 {
			return fmt.Errorf("%q is not a number of 1 or more", text)
		}
	case *time.Duration:
		if *p, err = time.ParseDuration(text); err != nil || *p <= 0 {
			return fmt.Errorf("%q is not a duration such as 500ms or 30s", text)
		}
	case *tincan.Size:
		*p, err = tincan.ParseSize(text)
	}
	return err
}

// fieldText is a field as it stands in a query, "" where it isn't set.
func fieldText(field any) string {
	switch p := field.(type) {
	case *string:
		return *p
	case *int:
		if *p != 0 {
			return strconv.Itoa(*p)
		}
	case *time.Duration:
		if *p != 0 {
			return p.String()
		}
	case *tincan.Size:
		if *p != 0 {
			return p.String()
		}
	}
	return ""
}

// String gives the endpoint as [ParseEndpoint] reads it, with its password or token.
func (e *Endpoint) String() string { return e.text(e.User, e.Password) }

// Redacted is String without the secrets of the endpoint.
func (e *Endpoint) Redacted() string {
	switch {
	case e.Password != "":
		return e.text(e.User, "xxxxx")
	case e.User != "":
		return e.text("xxxxx", "")
	}
	return e.String()
}

func (e *Endpoint) text(user, password string) string {
	var b strings.Builder
	b.WriteString(scheme + "://")
	if e.TLS {
		b.Reset()
		b.WriteString(tlsScheme + "://")
	}
	switch {
	case password != "":
		b.WriteString(url.UserPassword(user, password).String() + "@")
	case user != "":
		b.WriteString(url.User(user).String() + "@")
	}
	b.WriteString(strings.Join(e.Servers, ","))
	b.WriteString("/" + url.PathEscape(e.Subject))
	separator := byte('?')
	for _, k := range optionKeys {
		if text := fieldText(k.field(&e.Options)); text != "" {
			b.WriteByte(separator)
			b.WriteString(k.key + "=" + url.QueryEscape(text))
			separator = '&'
		}
	}
	return b.String()
}

// withoutPassword leaves the secrets of a faulty endpoint out of its error.
func withoutPassword(text string) string {
	before, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	authority, after, _ := strings.Cut(rest, "/")
	i := strings.LastIndexByte(authority, '@')
	if i < 0 {
		return text
	}
	return before + "://xxxxx" + authority[i:] + "/" + after
}
