package local

import (
	"fmt"
	"os"
	"syscall"
)

// own opens once more what f stands for, where that can block: so reads and
// writes can be interrupted without O_NONBLOCK being set for
// everyone who shares f's open file description, such as the shell. See open(2), proc_pid_fd(5).
func own(f *os.File) file {
	info, err := f.Stat()
	if err != nil || info.Mode().IsRegular() {
		return f
	}
	if info.Mode()&os.ModeSocket == 0 {
		var flags uintptr
		if raw, err := f.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				flags, _, _ = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
			})
		}
		mode := int(flags) & (syscall.O_ACCMODE | syscall.O_APPEND)
		again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fdOf(f)), mode|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
		if err == nil {
			return wakeable(again)
		}
	}
	return wakeable(f)
}
