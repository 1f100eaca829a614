package dash

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/tincan-ipc/tincan/state"
)

const token = "0123456789ABCDEFGHIJKLMNOP"

// newTestHandler serves a model that nobody runs.
func newTestHandler(t *testing.T, change func(*Options)) (*Handler, *Model) {
	t.Helper()
	table := &state.Table{}
	m := NewModel(table, About{Verb: "serve"}, func() Totals { return Totals{} })
	o := Options{Token: token, Cookie: "tincan-8081"}
	if change != nil {
		change(&o)
	}
	return NewHandler(m, table, o), m
}

// ask sends a request, changed by change, and gives the answer.
func ask(h http.Handler, method, target string, change func(*http.Request)) *http.Response {
	r := httptest.NewRequestWithContext(context.Background(), method, target, nil)
	r.Host = "127.0.0.1:8081"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func withCookie(r *http.Request) { r.AddCookie(&http.Cookie{Name: "tincan-8081", Value: token}) }

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		withCookie(r)
		r.Header.Set(name, value)
	}
}

func host(name string) func(*http.Request) {
	return func(r *http.Request) {
		withCookie(r)
		r.Host = name
	}
}

func TestGuardLetsInOnlyThePageThatKnowsTheToken(t *testing.T) {
	for name, c := range map[string]struct {
		method, target string
		change         func(*http.Request)
		options        func(*Options)
		want           int
	}{
		"the cookie":                    {change: withCookie, want: 200},
		"a module":                      {target: "/app.js", change: withCookie, want: 200},
		"HEAD":                          {method: "HEAD", change: withCookie, want: 200},
		"nothing":                       {want: 403},
		"nothing, of the state":         {target: "/events", want: 403},
		"nothing, of the history":       {target: "/history", want: 403},
		"nothing, of the command's own": {target: "/published/events", want: 403},
		"a wrong token":                 {target: "/?token=" + strings.ToLower(token), want: 403},
		"an empty token":                {target: "/?token=", change: withCookie, want: 403},
		"a part of the token":           {target: "/?token=" + token[:10], want: 403},
		"the right token":               {target: "/?token=" + token, want: 303},
		"a wrong cookie": {change: func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "tincan-8081", Value: token + "x"})
		}, want: 403},
		"another dashboard's cookie": {change: func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "tincan-8082", Value: token})
		}, want: 403},

		"localhost":                  {change: host("localhost:8081"), want: 200},
		"a forwarded port":           {change: host("localhost:9000"), want: 200},
		"no port":                    {change: host("localhost"), want: 200},
		"IPv6":                       {change: host("[::1]:8081"), want: 200},
		"a name":                     {change: host("rebound.example:8081"), want: 403},
		"a name of ours":             {change: host("here.example:8081"), options: func(o *Options) { o.Host = "here.example" }, want: 200},
		"an address of another host": {change: host("192.0.2.1:8081"), want: 403},
		"any address, where asked":   {change: host("192.0.2.1:8081"), options: func(o *Options) { o.Anywhere = true }, want: 200},
		"a name, where asked":        {change: host("rebound.example:8081"), options: func(o *Options) { o.Anywhere = true }, want: 403},
		"no host":                    {change: host(""), want: 403},

		"its own origin":            {change: header("Origin", "http://127.0.0.1:8081"), want: 200},
		"another port's origin":     {change: header("Origin", "http://127.0.0.1:3000"), want: 403},
		"another site's origin":     {change: header("Origin", "https://evil.example"), want: 403},
		"TLS's origin without it":   {change: header("Origin", "https://127.0.0.1:8081"), want: 403},
		"a sandbox's origin":        {change: header("Origin", "null"), want: 403},
		"a request of its own page": {change: header("Sec-Fetch-Site", "same-origin"), want: 200},
		"the address bar":           {change: header("Sec-Fetch-Site", "none"), want: 200},
		"a script of another port":  {target: "/app.js", change: header("Sec-Fetch-Site", "same-site"), want: 403},
		"an image on another site":  {target: "/icon.svg", change: header("Sec-Fetch-Site", "cross-site"), want: 403},
		"a link on another site": {change: func(r *http.Request) {
			header("Sec-Fetch-Site", "cross-site")(r)
			r.Header.Set("Sec-Fetch-Mode", "navigate")
		}, want: 200},

		"POST":             {method: "POST", change: withCookie, want: 405},
		"a preflight":      {method: "OPTIONS", change: withCookie, want: 405},
		"what isn't there": {target: "/etc/passwd", change: withCookie, want: 404},
		"a way out":        {target: "/../handler.go", change: withCookie, want: 307}, // to /handler.go, which isn't there
		"a life of words":  {target: "/events?life=x", change: withCookie, want: 400},
		"no state":         {target: "/published/events", change: withCookie, want: 404},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHandler(t, c.options)
			if c.method == "" {
				c.method = http.MethodGet
			}
			if c.target == "" {
				c.target = "/"
			}
			answer := ask(h, c.method, c.target, c.change)
			if answer.StatusCode != c.want {
				t.Errorf("status %d, want %d", answer.StatusCode, c.want)
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
				"Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
			} {
				if name == "Cache-Control" && c.want == 404 {
					continue // net/http takes it off an error
				}
				if got := answer.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestTokenIsTradedForACookie(t *testing.T) {
	for _, secure := range []bool{false, true} {
		h, _ := newTestHandler(t, func(o *Options) { o.TLS = secure })
		answer := ask(h, http.MethodGet, "/?token="+token, nil)
		if got := answer.Header.Get("Location"); got != "/" {
			t.Errorf("Location %q, want the URL without the token", got)
		}
		cookies := answer.Cookies()
		if len(cookies) != 1 {
			t.Fatalf("cookies %v", cookies)
		}
		c := cookies[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != secure || c.Path != "/" || c.MaxAge != 0 {
			t.Errorf("cookie %v", c)
		}
		again := ask(h, http.MethodGet, "/", func(r *http.Request) { r.AddCookie(c) })
		if again.StatusCode != http.StatusOK {
			t.Errorf("with the cookie: status %d", again.StatusCode)
		}
	}
}

func TestTokensDiffer(t *testing.T) {
	if a, b := NewToken(), NewToken(); a == b || len(a) < 26 {
		t.Errorf("tokens %q, %q", a, b)
	}
}

func TestPolicyAllowsNothingInline(t *testing.T) {
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "data:") {
		t.Errorf("policy %q", policy)
	}
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "script-src 'self';", "style-src 'self';"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy without %s", want)
		}
	}
}

// TestPageKeepsToThePolicy looks for what the policy forbids, and for files that aren't there.
func TestPageKeepsToThePolicy(t *testing.T) {
	html := readPage(t, "index.html")
	for _, forbidden := range []string{` style=`, `<style`, ` on[a-z]+=`, `javascript:`, `<script(?:[^>]*)>[^<]`, `https?://`} {
		if m := regexp.MustCompile(forbidden).FindString(html); m != "" {
			t.Errorf("index.html has %q", m)
		}
	}
	h, _ := newTestHandler(t, nil)
	queue, seen := []string{"index.html"}, map[string]bool{}
	reference := regexp.MustCompile(`(?:href|src)="([^"#]+)"|from "(\./[^"]+)"`)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		target := "/" + name
		if name == "index.html" {
			target = "/"
		}
		answer := ask(h, http.MethodGet, target, withCookie)
		if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind == "" || strings.HasPrefix(kind, "text/plain") {
			t.Errorf("%s: status %d, type %q", name, answer.StatusCode, kind)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reference.FindAllStringSubmatch(string(text), -1) {
			queue = append(queue, path.Join(path.Dir(name), m[1]+m[2]))
		}
	}
	html = regexp.MustCompile(`\s+`).ReplaceAllString(html, " ")
	if len(seen) < 12 {
		t.Errorf("only %d files were found: %v in %s", len(seen), seen, html)
	}
	err := fs.WalkDir(page, "page", func(name string, d fs.DirEntry, err error) error {
		short := strings.TrimPrefix(name, "page/")
		if err != nil || d.IsDir() || short == "uplot/LICENSE" {
			return err
		}
		if !seen[short] {
			t.Errorf("%s is embedded, and nothing asks for it", short)
		}
		if strings.HasPrefix(short, "uplot/") || !strings.HasSuffix(short, ".js") {
			return nil
		}
		text := readPage(t, short)
		for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc", "setAttribute(\"style\""} {
			if strings.Contains(text, sink) {
				t.Errorf("%s uses %s", short, sink)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := page.ReadFile("page/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
