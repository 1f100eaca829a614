package cli

import (
	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan/service"
)

// completeServe offers the services, then endpoints.
func completeServe(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return completeEndpoint(nil, args, "")
	}
	var names []cobra.Completion
	for _, s := range service.Services() {
		names = append(names, cobra.CompletionWithDesc(s.Name, s.Summary))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeEndpoint offers the beginnings of an endpoint URL.
func completeEndpoint(_ *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return schemePrefixes, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

var schemePrefixes = []cobra.Completion{
	"tcp://", "tcp4://", "tcp6://", "udp://", "udp4://", "udp6://", "tls://", "tls+unix:",
	"unix:", "unixgram:", "unixpacket:", "ws://", "wss://", "ws+unix:", "vsock://", "npipe:",
}
