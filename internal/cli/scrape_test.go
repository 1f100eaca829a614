package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

// ownMetrics are those that aren't the process's.
var ownMetrics = regexp.MustCompile(`(?m)^tincan_.*$`)

// cmdScrape is the script command scrape PATH REGEXP...: it waits until what a Unix socket answers
// to GET /metrics matches each. What is counted may come a moment after what a client sees.
func cmdScrape(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "scrape PATH REGEXP...")
	path := ts.MkAbs(args[0])
	client := &http.Client{Timeout: testPatience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	var text []byte
	defer func() { ts.Logf("%s", bytes.Join(ownMetrics.FindAll(text, -1), []byte("\n"))) }()
	for _, want := range args[1:] {
		re, err := regexp.Compile("(?m)" + want)
		ts.Check(err)
		awaitThat(ts, args[0]+" to tell "+want, func() bool {
			answer, err := client.Get("http://metrics/metrics")
			if err != nil {
				return false // it may not listen yet
			}
			defer answer.Body.Close()
			text, err = io.ReadAll(answer.Body)
			return err == nil && answer.StatusCode == http.StatusOK && re.Match(text)
		})
	}
}
