// Package interop holds tincan against programs that share no code with it: peers in
// C, Java, Python and Node, kept in the folders of those names, and socat, ncat, curl and
// OpenSSL. It has tests only; README.md says how to run them.
package interop
