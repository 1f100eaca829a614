package archtest

// A rule is one row of the table: what the packages that match it may import, their tests aside.
type rule struct {
	// pkg is a package's path under the module, "" for the root; "x/..." is x and all below it.
	// The first row that matches a package is the one that counts.
	pkg string
	// module lists the packages of this module that it may import, written as pkg is.
	module []string
	// libs lists the packages outside the standard library that it may import, with all below each.
	libs []string
	// light: whatever it imports, directly or not, is of the standard library, of this module or of libs, and is
	// not in heavy.
	light bool
}

// heavy is what a program that imports a light package must not find linked into it.
var heavy = []string{"net/http", "net/rpc", "html/template", "text/template", "expvar", "testing", "flag"}

// public are the packages that a program outside this module can import.
var public = []string{
	"", "urgent", "ws", "vsock", "npipe", "frame", "zmtp", "pattern", "relay", "service", "state", "sysinfo", "natsbridge", "tincantest",
}

// rules is the direction of imports, as ARCHITECTURE has it: a row may be there before its package is.
// A package needs a row; to let one import more, change its row and say why in the commit.
var rules = []rule{
	{pkg: "", module: []string{"internal/wait"}, libs: []string{"golang.org/x/sys"}, light: true},
	{pkg: "frame", light: true},
	{pkg: "zmtp", libs: []string{"golang.org/x/crypto", "golang.org/x/sys"}, light: true},
	{pkg: "urgent", module: []string{""}, libs: []string{"golang.org/x/sys"}, light: true},

	{pkg: "ws", module: []string{"", "internal/wait"}, libs: []string{"github.com/coder/websocket"}},
	{pkg: "vsock", module: []string{""}, libs: []string{"github.com/mdlayher/vsock"}},
	{pkg: "npipe", module: []string{""}, libs: []string{"github.com/Microsoft/go-winio"}},

	{pkg: "pattern", module: []string{"", "internal/wait", "zmtp"}, libs: []string{"golang.org/x"}, light: true},
	{pkg: "relay", module: []string{"", "frame"}, libs: []string{
		"golang.org/x",
		"github.com/pires/go-proxyproto", // the PROXY protocol's two versions: parsing what strangers send is best shared
	}},
	{pkg: "service", module: []string{"", "frame"}, libs: []string{"golang.org/x"}},
	{pkg: "state", module: []string{"", "frame", "pattern"}, libs: []string{"golang.org/x"}},
	{pkg: "sysinfo", module: []string{"state"}, libs: []string{"github.com/shirou/gopsutil/v4"}},
	{
		pkg: "natsbridge", module: []string{"", "service", "pattern", "state"}, // the root: error kinds, and a MessageConn to dial
		libs: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nuid"},
	},
	{pkg: "tincantest", module: []string{"", "internal/wait"}, libs: []string{"golang.org/x/net/nettest"}},

	{pkg: "internal/wait", light: true},
	{pkg: "internal/capture", module: []string{""}, libs: []string{"github.com/gopacket/gopacket"}},
	{pkg: "internal/local", module: []string{"", "internal/wait"}, libs: []string{
		"golang.org/x", "github.com/creack/pty", "github.com/coreos/go-systemd/v22",
	}},
	{pkg: "internal/narrate", module: []string{"", "pattern"}},
	{pkg: "internal/dash", module: []string{"", "internal/narrate", "pattern", "service", "state"}},
	{pkg: "internal/cli", module: append([]string{"internal/capture", "internal/dash", "internal/local", "internal/narrate"}, public...), libs: []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x",
		"github.com/schollz/progressbar/v3", "charm.land/bubbletea/v2", "github.com/charmbracelet/x/ansi",
		"github.com/prometheus/client_golang", "github.com/gopacket/gopacket",
		"github.com/coreos/go-systemd/v22", "github.com/nats-io/nats.go", "github.com/HdrHistogram/hdrhistogram-go",
	}},
	{pkg: "cmd/tincan", module: []string{"internal/cli"}},
	{pkg: "examples/...", module: public},

	// This one runs NATS servers for tests, which alone may import it: no row has it, nor its library.
	{pkg: "internal/natstest", module: []string{"internal/porttest"}, libs: []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go"}},

	// These are for tests as well.
	{pkg: "internal/porttest"},
	{pkg: "internal/leaktest", libs: []string{"go.uber.org/goleak"}},

	// These hold tests alone.
	{pkg: "internal/archtest"},
	{pkg: "internal/winetest"},
}

// longFiles are the files that may be over maxLines, each with its reason.
var longFiles = map[string]string{}

// maxLines bounds a Go file, mainLines the command's main.go, exampleLines a program under examples/.
const (
	maxLines     = 600
	mainLines    = 30
	exampleLines = 60
)

// vague are names that say nothing of what a package is for.
var vague = []string{"util", "utils", "common", "types", "helper", "helpers", "misc", "base", "shared"}
