//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"time"
)

func allowedCores() ([]int, error)             { return nil, errors.ErrUnsupported }
func startOn(*exec.Cmd, int) error             { return errors.ErrUnsupported }
func adoptOrphans() error                      { return errors.ErrUnsupported }
func orphansTime(int) time.Duration            { return 0 }
func processorTime(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
func prepare(*exec.Cmd)                        {}
func kill(p *os.Process) error                 { return p.Kill() }
