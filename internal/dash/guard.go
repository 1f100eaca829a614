package dash

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// NewToken gives 130 random bits as text.
func NewToken() string { return rand.Text() }

// A guard lets in whoever knows the token, from the dashboard's own page alone.
//
// The token comes once as a query of the URL that the command prints, and is answered by a cookie and the URL without it, so that
// it stays neither in the address bar nor in the history. The checks of Host and Origin keep out pages of other
// sites, which a browser on this machine would otherwise let speak to a loopback address, under names that resolve to it (DNS rebinding).
type guard struct {
	token string
	// cookie is its name. Ports share cookies: so it says which dashboard it is for.
	cookie string
	// secure is set over TLS.
	secure bool
	// anywhere is set where clients of other hosts are let in.
	anywhere bool
	// host is the one of the URL, "" where it has none.
	host string
}

// policy lets the page load what this server has and nothing else, run no script and take no style that is written
// into it, and makes the assignment of text as HTML an error (Trusted Types).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// harden sets the headers of every answer.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// admit checks a request, and reports whether it may be answered. Where it may not it has been.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) bool {
	harden(w.Header())
	switch {
	case !g.knows(r.Host):
		refuse(w, "This host is not known here: use the URL that the command printed")
	case !g.ownPage(r):
		refuse(w, "Pages of other origins may not ask this server")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are allowed", http.StatusMethodNotAllowed)
	case r.URL.Query().Has("token"):
		g.trade(w, r)
	case !g.hasCookie(r):
		refuse(w, "The token is missing or wrong: open the URL that the command printed")
	default:
		return true
	}
	return false
}

func refuse(w http.ResponseWriter, why string) { http.Error(w, why, http.StatusForbidden) }

// knows reports whether this server goes by that Host: loopback, and what the command line says. A name that only resolves to it is
// not enough. The port isn't looked at, as it may be forwarded.
func (g *guard) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "" {
		return false
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "localhost" || host == strings.ToLower(g.host):
		return true
	case err != nil:
		return false
	}
	return addr.Unmap().IsLoopback() || g.anywhere // no name can be made to resolve to a literal
}

// ownPage reports whether a request comes from the page, from the address bar or a link, or from no browser.
func (g *guard) ownPage(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host || (u.Scheme == "https") != g.secure {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.URL.Path == "/" // a link on another page
}

// trade gives a cookie for the token.
func (g *guard) trade(w http.ResponseWriter, r *http.Request) {
	if !g.right(r.URL.Query().Get("token")) {
		refuse(w, "The token is wrong: open the URL that the command printed")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: g.cookie, Value: g.token, Path: "/", HttpOnly: true, Secure: g.secure, SameSite: http.SameSiteStrictMode,
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (g *guard) hasCookie(r *http.Request) bool {
	for _, c := range r.CookiesNamed(g.cookie) {
		if g.right(c.Value) {
			return true
		}
	}
	return false
}

// right compares in constant time, whatever the length.
func (g *guard) right(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(g.token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
