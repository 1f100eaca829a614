package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan/zmtp"
)

func (p *program) curveKeysCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "curve-keys [FILE]",
		Short: "A pair of keys for CURVE",
		Long: `curve-keys makes a new pair of keys for CURVE and writes it to standard output,
"public" and the public key on one line and "secret" and the secret key on the
next, each 40 characters of Z85 as ZeroMQ shows keys. With FILE the secret key
goes there alone, readable by its owner, and only the public one is written; a
file that is there already is left as it is.

A key may hold any of . - : + = ^ ! / * ? & < > ( ) [ ] { } @ % $ #: quote it for
the shell. --curve-secret-key of the message verbs takes a FILE as @FILE.

` + exitCodesHelp,
		Example: `  tincan curve-keys server.key
  tincan rep --curve-secret-key @server.key --echo tcp://127.0.0.1:5555
  tincan req --curve-server-key 'PUBLIC KEY OF THE SERVER' tcp://127.0.0.1:5555`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return arguments(false, "FILE")(cmd, args)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.curveKeys(args, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, `write {"public":"...","secret":"..."}`)
	return cmd
}

func (p *program) curveKeys(args []string, asJSON bool) error {
	public, secret, err := zmtp.GenerateKeys()
	if err != nil {
		return err
	}
	keys := curveKeyPair{Public: zmtp.EncodeKey(public), Secret: zmtp.EncodeKey(secret)}
	if len(args) > 0 {
		if err := writeKey(args[0], keys.Secret); err != nil {
			return err
		}
		keys.Secret = ""
	}
	if asJSON {
		line, err := marshalPlain(keys)
		if err != nil {
			return err
		}
		return p.print(string(line) + "\n")
	}
	text := "public " + keys.Public + "\n"
	if keys.Secret != "" {
		text += "secret " + keys.Secret + "\n"
	}
	return p.print(text)
}

// A curveKeyPair is what curve-keys writes.
type curveKeyPair struct {
	Public string `json:"public"`
	Secret string `json:"secret,omitempty"`
}

// writeKey makes a file for a secret key. A key that is in use must not be overwritten.
func writeKey(path, key string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &hintedError{error: err, hint: keyFileHint(err)}
	}
	_, err = fmt.Fprintln(f, key)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(path) // half a key is of no use
		return &localError{doing: "write " + path, err: err}
	}
	return nil
}

func keyFileHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrExist):
		return "a key that is in use must not be lost: name another file, or remove this one"
	case errors.Is(err, fs.ErrNotExist):
		return "the folder must exist"
	}
	return ""
}
