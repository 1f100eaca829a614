package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// allowedCores lists the cores that this process may use.
func allowedCores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	var cores []int
	for i := 0; len(cores) < set.Count(); i++ {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	return cores, nil
}

// startOn starts cmd held to one core from its first instruction, so that Go's
// runtime takes it for the only one: a child inherits what its parent's thread is held to.
func startOn(cmd *exec.Cmd, core int) error {
	runtime.LockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	startErr := cmd.Start()
	if err := unix.SchedSetaffinity(0, &before); err != nil {
		return os.NewSyscallError("sched_setaffinity", err) // the thread stays locked: it is of no use to others
	}
	runtime.UnlockOSThread()
	return startErr
}

// prepare makes cmd the head of a process group, which ends with this process.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// kill ends the process group of p.
func kill(p *os.Process) error { return unix.Kill(-p.Pid, unix.SIGKILL) }

// processorTime gives the time that a process has had of the processors, its threads that
// have ended included, its children not (clock_getcpuclockid(3); the clock's number is made as the C library does).
func processorTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED: by what the scheduler has counted, in nanoseconds
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|scheduled), &t)
	return time.Duration(t.Nano()), os.NewSyscallError("clock_gettime", err)
}

// adoptOrphans makes this process the parent of what outlives the process that started it.
func adoptOrphans() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// orphansTime takes leave of the adopted children in p's process group, all of which have
// been ended, and gives the processor time that they had.
func orphansTime(group int) time.Duration {
	for sum := time.Duration(0); ; {
		var usage unix.Rusage
		_, err := unix.Wait4(-group, nil, 0, &usage)
		switch err {
		case nil:
			sum += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		case unix.EINTR:
		default: // ECHILD: that were all
			return sum
		}
	}
}
