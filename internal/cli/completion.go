package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan/internal/local"
	"github.com/tincan-ipc/tincan/service"
)

var shells = []string{"bash", "zsh", "fish", "powershell"}

func (p *program) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "A completion script for bash, zsh, fish or powershell",
		Long: `completion writes a script that makes SHELL (bash, zsh, fish or powershell)
complete tincan's verbs, flags, services and schemes.`,
		Example: `  . <(tincan completion bash)
  tincan completion zsh >"${fpath[1]}/_tincan"
  tincan completion fish >~/.config/fish/completions/tincan.fish`,
		Args: arguments(false, "SHELL"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return shells, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.completion(cmd.Root(), args[0]) },
	}
}

func (p *program) completion(root *cobra.Command, shell string) error {
	if !slices.Contains(shells, shell) {
		return &usageError{problem: fmt.Sprintf("unknown shell %q", shell), remedy: "shells are " + strings.Join(shells, ", ")}
	}
	var script bytes.Buffer
	var err error
	switch shell {
	case "bash":
		err = root.GenBashCompletionV2(&script, true)
	case "zsh":
		err = root.GenZshCompletion(&script)
	case "fish":
		err = root.GenFishCompletion(&script, true)
	case "powershell":
		err = root.GenPowerShellCompletionWithDesc(&script)
	}
	if err != nil {
		return err
	}
	return p.print(script.String())
}

// completeServe offers the services, then endpoints.
func completeServe(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return schemePrefixes, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, s := range service.Services() {
		names = append(names, cobra.CompletionWithDesc(s.Name, s.Summary))
	}
	for _, s := range stateServices {
		names = append(names, cobra.CompletionWithDesc(s.name, s.summary))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeEndpoint offers the beginnings of one endpoint URL.
func completeEndpoint(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return schemePrefixes, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// completeRelay offers the beginnings of FROM and TO.
func completeRelay(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words := append(slices.Clone(schemePrefixes), local.Schemes...)
	if len(args) == 1 {
		words = append(words, "exec")
	}
	return words, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

var schemePrefixes = []cobra.Completion{
	"tcp://", "tcp4://", "tcp6://", "udp://", "udp4://", "udp6://", "tls://", "tls+unix:",
	"unix:", "unixgram:", "unixpacket:", "ws://", "wss://", "ws+unix:", "vsock://", "npipe:",
}

func completeFraming(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"line", "nul", "len16", "len32", "uvarint"}, cobra.ShellCompDirectiveNoFileComp
}
