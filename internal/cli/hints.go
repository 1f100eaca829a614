package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"

	"github.com/tincan-ipc/tincan"
)

// hintFor is the one place that says what to try after an error; it may be empty.
func hintFor(err error) string {
	var hinting interface{ Hint() string }
	if errors.As(err, &hinting) {
		return hinting.Hint()
	}
	var local *localError
	if errors.As(err, &local) {
		return ""
	}
	for _, find := range []func(error) string{tlsHint, bindHint, proxyHint, connectHint} {
		if hint := find(err); hint != "" {
			return hint
		}
	}
	return ""
}

func tlsHint(err error) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		remote    *net.OpError
	)
	switch {
	case errors.As(err, &authority):
		return "name the authority to trust: ?ca=FILE"
	case errors.As(err, &hostname):
		return "dial a name that the certificate carries, or say which one: ?server-name=NAME"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate is out of date, or one of the two clocks is wrong"
	case errors.As(err, &record):
		return "the other side does not speak TLS: try tcp:// or unix:"
	case errors.As(err, &remote) && remote.Op == "remote error":
		return alertHint(remote.Err)
	}
	return ""
}

// alertHint knows the peer's alert. The type that crypto/tls gives it is its
// own, but both name an alert in the same words.
func alertHint(err error) string {
	for alert, hint := range alertHints {
		if alert.Error() == err.Error() {
			return hint
		}
	}
	return ""
}

// alertHints are what the peer's alert (RFC 8446 §6.2) asks of this side.
var alertHints = map[tls.AlertError]string{
	42:  "the peer does not accept this side's certificate: see ?cert= and ?key=",
	45:  "this side's certificate is out of date",
	48:  "the peer does not know the authority of this side's certificate: see ?ca= on its side",
	70:  "the two sides have no TLS version in common: see ?min-version=",
	116: "the server demands a certificate: ?cert=FILE&key=FILE",
}

func bindHint(err error) string {
	var opErr *net.OpError
	if !errors.As(err, &opErr) || opErr.Op != "listen" {
		return ""
	}
	switch {
	case errors.Is(err, tincan.ErrInUse):
		return "use another path, or remove what is there if nobody needs it"
	case errors.Is(err, errInUse):
		return "another program listens there; port 0 takes a free one"
	case errors.Is(err, errNotLocal):
		return "the address is none of this machine's; * is every interface"
	case errors.Is(err, fs.ErrPermission):
		return "ports below 1024, and paths in others' folders, need privileges"
	case errors.Is(err, fs.ErrNotExist):
		return "the folder must exist"
	}
	return ""
}

func connectHint(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, tincan.ErrNoTransport), errors.Is(err, errors.ErrUnsupported):
		return "this system has no such sockets"
	case errors.Is(err, tincan.ErrNotAllowed), errors.Is(err, tincan.ErrTooManyConns):
		return "see the listener's allow and max-conns options"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "is the host's name spelled right?"
	case errors.Is(err, errRefused):
		return "is a server listening there? tincan listen URL starts one"
	case errors.Is(err, fs.ErrNotExist):
		return "no such path: is a server listening there? tincan listen URL starts one"
	case errors.Is(err, fs.ErrPermission):
		return "the path's mode keeps you out: see ?mode= on the server (0600 unless told)"
	case errors.Is(err, errTooManyFiles):
		return "raise the limit of open files: ulimit -n"
	case errors.Is(err, tincan.ErrMessageTooLong):
		return "a UDP datagram carries at most 65507 bytes"
	}
	var opErr *net.OpError
	if errors.As(err, &opErr) && opErr.Op == "dial" && tincan.KindOf(err) == tincan.KindTimeout {
		return "nothing answered: a firewall may drop what is sent; --connect-timeout says how long to wait"
	}
	return ""
}
