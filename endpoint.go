package tincan

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
)

// An Endpoint is a parsed endpoint URL: where one side of a connection is and
// how it is to be opened. As a [net.Addr] it prints as the URL, which can be dialled.
type Endpoint struct {
	// Scheme is the canonical scheme: "tls+tcp" where the URL said "tls".
	Scheme string
	// Host is a name or an IP address without brackets. Empty is loopback,
	// "*" every interface. For vsock it is the context id: a number, "host", "local" or "*".
	Host string
	// Port is a number or the name of a service. A listener takes a free one for "0".
	Port string
	// Path is the path of a Unix socket, "@name" in Linux's abstract
	// namespace, or the name of a named pipe or in-process endpoint.
	Path string
	// Resource is the path of the WebSocket request, "/" where none is given.
	Resource string
	// Options are the query keys.
	Options Options
}

// An EndpointError tells what is wrong with an endpoint URL.
type EndpointError struct {
	// Input is the whole URL as given.
	Input string
	// Problem says what is wrong and where.
	Problem string
	// Remedy says what to try; it may be empty.
	Remedy string
}

func (e *EndpointError) Error() string { return fmt.Sprintf("endpoint %q: %s", e.Input, e.Problem) }

// Hint says what to try; it may be empty.
func (e *EndpointError) Hint() string { return e.Remedy }

// maxUnixPath is what fits into sun_path with its closing NUL. See unix(7), unix(4).
var maxUnixPath = map[string]int{"linux": 107, "windows": 107}[runtime.GOOS]

func init() {
	if maxUnixPath == 0 {
		maxUnixPath = 103 // BSD and macOS
	}
}

// ParseEndpoint reads an endpoint URL. Every error is an [*EndpointError].
func ParseEndpoint(url string) (*Endpoint, error) {
	e, problem, remedy := parseEndpoint(url)
	if problem != "" {
		return nil, &EndpointError{Input: url, Problem: problem, Remedy: remedy}
	}
	return e, nil
}

const urlExample = "an endpoint looks like tcp://host:port or unix:///path"

func parseEndpoint(url string) (e *Endpoint, problem, remedy string) {
	name, rest, found := strings.Cut(url, ":")
	if !found || name == "" {
		return nil, "has no scheme", urlExample
	}
	s := schemeByName(strings.ToLower(name))
	if s == nil {
		if strings.Trim(rest, "0123456789") == "" {
			return nil, "has no scheme", fmt.Sprintf("did you mean tcp://%s?", url)
		}
		return nil, fmt.Sprintf("unknown scheme %q", name), "schemes are " + schemeNames()
	}
	e = &Endpoint{Scheme: s.name}
	address, query, hasQuery := strings.Cut(rest, "?")
	switch s.form {
	case formHost, formCID:
		problem, remedy = e.parseHost(s, address)
	case formPath:
		problem, remedy = e.parsePath(s, address)
	case formName:
		problem, remedy = e.parseName(s, address)
	}
	if problem == "" && hasQuery {
		problem, remedy = e.parseQuery(s, query)
	}
	if problem != "" {
		return nil, problem, remedy
	}
	return e, "", ""
}

// parseHost reads //host:port and, where the scheme has one, /resource.
func (e *Endpoint) parseHost(s *scheme, address string) (problem, remedy string) {
	shape := fmt.Sprintf("it looks like %s://host:port", s.name)
	if s.form == formCID {
		shape = fmt.Sprintf("it looks like %s://cid:port", s.name)
	}
	authority, ok := strings.CutPrefix(address, "//")
	if !ok {
		return fmt.Sprintf("%q lacks // before the address", address), shape
	}
	authority, resource, hasResource := strings.Cut(authority, "/")
	switch {
	case s.resource:
		if problem := e.setResource("/" + resource); problem != "" {
			return problem, ""
		}
	case hasResource && resource != "":
		return fmt.Sprintf("%s has no path, yet %q follows the port", s.name, "/"+resource), shape
	}
	if strings.Contains(authority, "@") {
		return "a user name in an address is not supported", shape
	}
	host, port, hasPort := authority, "", false
	bracketed := strings.HasPrefix(authority, "[")
	if bracketed {
		inner, after, closed := strings.Cut(authority[1:], "]")
		if !closed || after != "" && after[0] != ':' {
			return fmt.Sprintf("%q: the brackets don't match", authority), "an IPv6 address looks like [::1]:port"
		}
		host = inner
		port, hasPort = strings.CutPrefix(after, ":")
	} else if i := strings.LastIndexByte(authority, ':'); i >= 0 {
		host, port, hasPort = authority[:i], authority[i+1:], true
	}
	switch {
	case !hasPort && s.port == "":
		return fmt.Sprintf("%q has no port", authority), shape
	case !hasPort:
		port = s.port
	case port == "":
		return fmt.Sprintf("%q ends before the port", authority), shape
	}
	if strings.Contains(host, ":") && !bracketed {
		return fmt.Sprintf("%q is ambiguous", authority), "write an IPv6 address in brackets: [" + host + "]:" + port
	}
	if problem := checkPort(s, port); problem != "" {
		return problem, ""
	}
	if bracketed {
		// A zone's % may be written raw or, as RFC 6874 has it, as %25.
		addr, zone, zoned := strings.Cut(host, "%")
		if net.ParseIP(addr) == nil || !strings.Contains(addr, ":") || zoned && strings.TrimPrefix(zone, "25") == "" {
			return fmt.Sprintf("%q is not an IPv6 address", host), ""
		}
		if zoned {
			host = addr + "%" + strings.TrimPrefix(zone, "25")
		}
	}
	if problem := checkHost(s, host); problem != "" {
		return problem, shape
	}
	e.Host, e.Port = host, port
	return "", ""
}

func checkPort(s *scheme, port string) (problem string) {
	bits, most := 16, "65535"
	if s.form == formCID {
		bits, most = 32, "4294967295"
	}
	if _, err := strconv.ParseUint(port, 10, bits); err == nil {
		return ""
	}
	word := strings.Trim(strings.ToLower(port), "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	if !word || s.form == formCID || strings.Trim(port, "0123456789-") == "" {
		return fmt.Sprintf("port %q is not a number from 0 to %s", port, most)
	}
	return "" // the name of a service
}

func checkHost(s *scheme, host string) string {
	if s.form == formCID {
		switch host {
		case "", "*", "host", "local":
			return ""
		}
		if _, err := strconv.ParseUint(host, 10, 32); err != nil {
			return fmt.Sprintf("context id %q is neither a number nor host, local or *", host)
		}
		return ""
	}
	if host == "*" {
		return ""
	}
	zoneless, _, _ := strings.Cut(host, "%")
	for _, r := range zoneless {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`*"'<>\^{|}()&;,[]`+"`", r) {
			return fmt.Sprintf("host %q: %q can't be part of a name", host, r)
		}
	}
	if strings.Contains(host, "%") && !strings.Contains(zoneless, ":") {
		return fmt.Sprintf("host %q: only an IPv6 address has a zone", host)
	}
	switch {
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Sprintf("host %q has a blank in it", host)
	case strings.HasSuffix(s.name, "4") && strings.Contains(host, ":"):
		return fmt.Sprintf("%q is an IPv6 address, and %s is IPv4 alone", host, s.name)
	case strings.HasSuffix(s.name, "6") && net.ParseIP(host).To4() != nil && !strings.Contains(host, ":"):
		return fmt.Sprintf("%q is an IPv4 address, and %s is IPv6 alone", host, s.name)
	}
	return ""
}

// parsePath reads ///absolute/path, a relative path or @name, and for a scheme
// with a resource what follows the first ":/".
func (e *Endpoint) parsePath(s *scheme, address string) (problem, remedy string) {
	path := strings.TrimPrefix(address, "//")
	if s.resource {
		before, resource, _ := strings.Cut(path, ":/")
		path = before
		if problem := e.setResource("/" + resource); problem != "" {
			return problem, ""
		}
	}
	path, problem = unescape(path)
	switch {
	case problem != "":
		return problem, ""
	case path == "" || path == "@":
		return "has no path", fmt.Sprintf("it looks like %s:///path, %s:relative or %s:@abstract", s.name, s.name, s.name)
	case strings.ContainsRune(path, 0):
		return "the path has a NUL byte in it", ""
	case len(path) > maxUnixPath:
		return fmt.Sprintf("the path has %d bytes, and a Unix socket's has at most %d here", len(path), maxUnixPath), "use a shorter path, or a relative one"
	}
	e.Path = path
	return "", ""
}

func (e *Endpoint) parseName(s *scheme, address string) (problem, remedy string) {
	name, problem := unescape(strings.TrimPrefix(address, "//"))
	if problem == "" && name == "" {
		return "has no name", fmt.Sprintf("it looks like %s:name", s.name)
	}
	e.Path = name
	return problem, ""
}

func (e *Endpoint) setResource(resource string) (problem string) {
	e.Resource, problem = unescape(resource)
	return problem
}

func (e *Endpoint) parseQuery(s *scheme, query string) (problem, remedy string) {
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		key, value, hasValue := strings.Cut(pair, "=")
		value, problem := unescape(value)
		if problem != "" {
			return fmt.Sprintf("option %s: %s", key, problem), ""
		}
		if seen[key] {
			return fmt.Sprintf("option %q is given twice", key), "join several values with commas"
		}
		seen[key] = true
		if problem, remedy := e.Options.set(s.family, key, value, hasValue); problem != "" {
			return problem, remedy
		}
	}
	if v := e.Options.MinVersion; v != "" && v != "1.2" && v != "1.3" {
		return fmt.Sprintf("option min-version: %q is neither 1.2 nor 1.3", v), ""
	}
	return "", ""
}

// Network gives the scheme, as [net.Addr] wants it.
func (e *Endpoint) Network() string { return e.Scheme }

// String writes the URL. [ParseEndpoint] reads the same endpoint from it.
func (e *Endpoint) String() string {
	var b strings.Builder
	b.WriteString(e.Scheme)
	b.WriteByte(':')
	s := schemeByName(e.Scheme)
	switch {
	case s == nil || s.form == formName:
		if strings.HasPrefix(e.Path, "//") {
			b.WriteString("//") // else its own would be taken for the URL's
		}
		b.WriteString(escape(e.Path, "?%"))
	case s.form == formPath:
		if strings.HasPrefix(e.Path, "/") {
			b.WriteString("//")
		}
		if s.resource {
			b.WriteString(escape(e.Path, "?%:"))
			if e.Resource != "/" && e.Resource != "" {
				b.WriteString(":" + escape(e.Resource, "?%"))
			}
		} else {
			b.WriteString(escape(e.Path, "?%"))
		}
	default:
		host := e.Host
		if addr, zone, zoned := strings.Cut(host, "%"); zoned && strings.HasPrefix(zone, "25") {
			host = addr + "%25" + zone // else its 25 would be read as part of the %
		}
		b.WriteString("//" + net.JoinHostPort(host, e.Port))
		if s.resource && e.Resource != "/" {
			b.WriteString(escape(e.Resource, "?%"))
		}
	}
	separator := byte('?')
	for _, k := range optionKeys {
		if k.isSet(&e.Options) {
			b.WriteByte(separator)
			b.WriteString(k.key)
			if value := formatOption(k.field(&e.Options)); value != "" {
				b.WriteString("=" + escape(value, "&%"))
			}
			separator = '&'
		}
	}
	return b.String()
}

// Streams reports whether the endpoint can be opened as a byte stream.
func (e *Endpoint) Streams() bool { s := schemeByName(e.Scheme); return s != nil && s.streams }

// Messages reports whether the endpoint can be opened as a message connection.
func (e *Endpoint) Messages() bool { s := schemeByName(e.Scheme); return s != nil && s.messages }

// Under gives the endpoint of the connection that e's runs on, such as
// tcp for tls+tcp; ok is false where e runs on no other.
func (e *Endpoint) Under() (under *Endpoint, ok bool) {
	s := schemeByName(e.Scheme)
	if s == nil || s.under == "" {
		return nil, false
	}
	u := *e
	u.Scheme, u.Resource = s.under, ""
	lower := schemeByName(s.under)
	for _, k := range optionKeys {
		if k.family&lower.family == 0 {
			k.copy(&u.Options, &Options{})
		}
	}
	return &u, true
}

// unescape resolves %XX.
func unescape(s string) (out, problem string) {
	if !strings.Contains(s, "%") {
		return s, ""
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Sprintf("%q ends within a %%XX escape (write %%25 for a %%)", s)
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Sprintf("%q is not an escape (write %%25 for a %%)", s[i:i+3])
		}
		b = append(b, byte(n))
		i += 2
	}
	return string(b), ""
}

// escape writes control characters, blanks and the characters of special as %XX.
func escape(s, special string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte(special, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
