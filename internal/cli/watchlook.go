package cli

// A style is the parameters of SGR (ECMA-48 §8.3.117), such as "1;31"; "" is the terminal's own.
type style string

func (s style) paint(text string) string {
	if s == "" || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[m"
}

// A watchLook is how the table looks.
type watchLook struct {
	head, key, plain, dim      style
	number, other, fresh, gone style
	live, waiting, lost        style
	filter, past               style
}

// A backdrop is the background of the terminal, as far as it says.
type backdrop int

const (
	unknownBackground backdrop = iota
	darkBackground
	lightBackground
)

// newWatchLook gives the look for a background, without colours that of weights alone. The colours are of the 256,
// which bubbletea brings down to those that the terminal has; on an unknown background they are of middling lightness.
func newWatchLook(colours bool, on backdrop) watchLook {
	if !colours {
		return watchLook{head: "1", dim: "2", fresh: "7", gone: "9", live: "1", lost: "1;7", filter: "1"}
	}
	switch on {
	case darkBackground:
		return watchLook{
			head: "1;38;5;110", dim: "38;5;245", number: "38;5;159", other: "38;5;222",
			fresh: "1;38;5;229;48;5;58", gone: "9;38;5;210", live: "1;38;5;114", waiting: "1;38;5;221", lost: "1;38;5;210",
			filter: "1;38;5;221", past: "38;5;110",
		}
	case lightBackground:
		return watchLook{
			head: "1;38;5;25", dim: "38;5;243", number: "38;5;25", other: "38;5;94",
			fresh: "1;38;5;16;48;5;223", gone: "9;38;5;124", live: "1;38;5;28", waiting: "1;38;5;130", lost: "1;38;5;160",
			filter: "1;38;5;130", past: "38;5;67",
		}
	}
	return watchLook{
		head: "1;38;5;67", dim: "2", number: "38;5;67", other: "38;5;130",
		fresh: "1;7", gone: "9;38;5;167", live: "1;38;5;71", waiting: "1;38;5;136", lost: "1;38;5;167",
		filter: "1;38;5;136", past: "38;5;67",
	}
}
