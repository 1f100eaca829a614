// Command tincan opens, joins and serves sockets of every family under one
// form of address. Its verbs and flags are told by "tincan --help".
package main

import (
	"os"

	"github.com/tincan-ipc/tincan/internal/cli"
)

func main() { os.Exit(cli.Main()) }
