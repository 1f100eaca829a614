package tincan

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// optionKey ties a query key to its field and to the endpoints that take it.
// The table is the one place where keys are known: parsing, printing and
// merging all walk it.
type optionKey struct {
	key    string
	family family
	field  func(*Options) any // a pointer to the field
	isSet  func(*Options) bool
	copy   func(dst, src *Options)
}

// option is the key of a field for which its zero value stands for not being set.
func option[T comparable](key string, f family, at func(*Options) *T) optionKey {
	return fieldKey(key, f, at, func(v T) bool { var zero T; return v != zero })
}

// listOption is the key of a field for which being empty does.
func listOption[T any](key string, f family, at func(*Options) *[]T) optionKey {
	return fieldKey(key, f, at, func(v []T) bool { return len(v) > 0 })
}

func fieldKey[T any](key string, f family, at func(*Options) *T, isSet func(T) bool) optionKey {
	return optionKey{
		key:    key,
		family: f,
		field:  func(o *Options) any { return at(o) },
		isSet:  func(o *Options) bool { return isSet(*at(o)) },
		copy:   func(dst, src *Options) { *at(dst) = *at(src) },
	}
}

var optionKeys = []optionKey{
	option("keep-alive", famTCP, func(o *Options) *time.Duration { return &o.KeepAlive }),
	option("no-delay", famTCP, func(o *Options) *Toggle { return &o.NoDelay }),
	option("recv-buffer", famTCP|famUDP|famUnix, func(o *Options) *Size { return &o.RecvBuffer }),
	option("send-buffer", famTCP|famUDP|famUnix, func(o *Options) *Size { return &o.SendBuffer }),
	option("reuse-port", famTCP|famUDP, func(o *Options) *bool { return &o.ReusePort }),
	option("backlog", famTCP|famUnixConn|famMem, func(o *Options) *int { return &o.Backlog }),
	option("local", famLocal, func(o *Options) *string { return &o.Local }),
	option("mode", famUnix, func(o *Options) *fs.FileMode { return &o.Mode }),
	listOption("allow-uid", famUnixConn, func(o *Options) *[]uint32 { return &o.AllowUID }),
	listOption("allow-gid", famUnixConn, func(o *Options) *[]uint32 { return &o.AllowGID }),
	listOption("allow", famTCP|famUDP, func(o *Options) *[]netip.Prefix { return &o.Allow }),
	option("max-conns", famAccept, func(o *Options) *int { return &o.MaxConns }),
	option("max-conns-per-source", famAccept, func(o *Options) *int { return &o.MaxConnsPerSource }),
	option("flow-timeout", famFlow, func(o *Options) *time.Duration { return &o.FlowTimeout }),
	option("max-flows", famFlow, func(o *Options) *int { return &o.MaxFlows }),
	option("max-message", famWS|famOther, func(o *Options) *Size { return &o.MaxMessage }),
	option("format", famUDP|famUnix|famWS|famOther, func(o *Options) *string { return &o.Format }),
	option("cert", famTLS, func(o *Options) *string { return &o.Cert }),
	option("key", famTLS, func(o *Options) *string { return &o.Key }),
	option("ca", famTLS, func(o *Options) *string { return &o.CA }),
	option("server-name", famTLS, func(o *Options) *string { return &o.ServerName }),
	option("client-ca", famTLS, func(o *Options) *string { return &o.ClientCA }),
	option("min-version", famTLS, func(o *Options) *string { return &o.MinVersion }),
	option("handshake-timeout", famTLS|famWS, func(o *Options) *time.Duration { return &o.HandshakeTimeout }),
	option("query", famWS, func(o *Options) *string { return &o.Query }),
	option("origin", famWS, func(o *Options) *string { return &o.Origin }),
	option("subprotocol", famWS, func(o *Options) *string { return &o.Subprotocol }),
	option("text", famWS, func(o *Options) *bool { return &o.Text }),
}

// optionKeyNames lists the keys that endpoints of family f take.
func optionKeyNames(f family) string {
	var names []string
	for _, k := range optionKeys {
		if k.family&f != 0 {
			names = append(names, k.key)
		}
	}
	return strings.Join(names, ", ")
}

// set parses one key=value into o for a scheme of family f.
func (o *Options) set(f family, key, value string, hasValue bool) (problem, hint string) {
	i := slices.IndexFunc(optionKeys, func(k optionKey) bool { return k.key == key })
	if i < 0 {
		return fmt.Sprintf("unknown option %q", key), "options here are " + optionKeyNames(f)
	}
	if optionKeys[i].family&f == 0 {
		return fmt.Sprintf("option %q does not apply here", key), "options here are " + optionKeyNames(f)
	}
	if err := parseOption(optionKeys[i].field(o), value, hasValue); err != nil {
		return fmt.Sprintf("option %s: %v", key, err), ""
	}
	return "", ""
}

// parseOption reads value into the field that p points to.
func parseOption(p any, value string, hasValue bool) error {
	if !hasValue {
		switch p := p.(type) {
		case *bool:
			*p = true
			return nil
		case *Toggle:
			*p = On
			return nil
		}
		return errors.New("needs a value")
	}
	var err error
	switch p := p.(type) {
	case *bool:
		if *p, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
	case *Toggle:
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		*p = Off
		if on {
			*p = On
		}
	case *time.Duration:
		*p, err = parseDuration(value)
	case *Size:
		*p, err = ParseSize(value)
	case *int:
		if *p, err = strconv.Atoi(value); err != nil || *p < 0 {
			return fmt.Errorf("%q is not a number of 0 or more", value)
		}
	case *fs.FileMode:
		m, err := strconv.ParseUint(value, 8, 32)
		if err != nil || m > 0o777 || m == 0 {
			return fmt.Errorf("%q is not an octal mode such as 0660", value)
		}
		*p = fs.FileMode(m)
	case *[]uint32:
		*p, err = parseIDs(value)
	case *[]netip.Prefix:
		*p, err = parsePrefixes(value)
	case *string:
		*p = value
	}
	return err
}

// parseDuration reads "1.5s", "off" or a plain "0", both of which switch off.
func parseDuration(s string) (time.Duration, error) {
	if s == "off" {
		return -1, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 500ms, 30s or 2m (or off)", s)
	}
	if d <= 0 {
		return -1, nil
	}
	return d, nil
}

func parseIDs(s string) ([]uint32, error) {
	var ids []uint32
	for field := range strings.SplitSeq(s, ",") {
		id, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not a numeric id", field)
		}
		ids = append(ids, uint32(id))
	}
	return ids, nil
}

// parsePrefixes reads networks in CIDR form; a lone address is a network of one.
func parsePrefixes(s string) ([]netip.Prefix, error) {
	var ps []netip.Prefix
	for field := range strings.SplitSeq(s, ",") {
		if a, err := netip.ParseAddr(field); err == nil && a.Zone() == "" {
			ps = append(ps, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(field)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.0.0.0/8 or ::1/128", field)
		}
		ps = append(ps, p.Masked())
	}
	return ps, nil
}

// formatOption writes a field that is set so that parseOption reads the same value.
func formatOption(p any) string {
	switch p := p.(type) {
	case *bool:
		return ""
	case *Toggle:
		return strconv.FormatBool(*p == On)
	case *time.Duration:
		if *p < 0 {
			return "off"
		}
		return p.String()
	case *Size:
		return p.String()
	case *int:
		return strconv.Itoa(*p)
	case *fs.FileMode:
		return fmt.Sprintf("%04o", uint32(*p))
	case *[]uint32:
		return joinOption(*p)
	case *[]netip.Prefix:
		return joinOption(*p)
	case *string:
		return *p
	}
	panic("tincan: option of unknown type") // the table above and parseOption go together
}

func joinOption[T any](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ",")
}

// fill takes each field of o that isn't set from def.
func (o *Options) fill(def *Options) {
	for i := range optionKeys {
		if k := &optionKeys[i]; !k.isSet(o) {
			k.copy(o, def)
		}
	}
}
