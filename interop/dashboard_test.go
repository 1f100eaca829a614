//go:build linux

package interop

import (
	"os"
	"regexp"
	"sync"
	"testing"
)

var installDashboard = sync.OnceValues(func() (string, error) { return npmInstall("dashboard", "playwright-core") })

// TestDashboardInChromium has a browser look at the dashboard of a relay: that it loads, shows a connection come, live
// and end, draws, can be used by keys, and lets nobody in who doesn't know the token. TINCAN_PICTURES names a folder for pictures.
func TestDashboardInChromium(t *testing.T) {
	tool(t, "node")
	tool(t, "npm")
	tool(t, "chromium")
	dir := built(t, installDashboard)
	path := socketPath(t)
	echo := start(t, tincan(t), "serve", "echo", "unix:"+path)
	echo.await(echo.err, regexp.MustCompile(`listening on (\S+)\s`))
	relay := start(t, tincan(t), "relay", "--dashboard", "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "unix:"+path)
	url := relay.await(relay.err, regexp.MustCompile(`dashboard on (http://\S+)\s`))
	port := relay.await(relay.err, regexp.MustCompile(`listening on tcp://127\.0\.0\.1:(\d+)\s`))
	argv := []string{"node", "page.js", url, port}
	if pictures := os.Getenv("TINCAN_PICTURES"); pictures != "" {
		argv = append(argv, pictures)
	}
	browser := launch(t, dir, nil, argv)
	browser.hear("ok\n")
}
