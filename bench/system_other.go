//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
)

func allowedCores() ([]int, error) { return nil, errors.ErrUnsupported }
func startOn(*exec.Cmd, int) error { return errors.ErrUnsupported }
func prepare(*exec.Cmd)            {}
func kill(p *os.Process) error     { return p.Kill() }
