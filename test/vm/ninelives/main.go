// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64

// Command ninelives runs a program again and again, and kills it with SIGKILL right before it changes the machine for a
// second time: each life gets one change further than the one before. A change is a file that is opened for writing,
// renamed or removed, a message to rtnetlink that asks for more than an answer, and a module that is loaded or unloaded,
// by the program or by what it runs. A life that follows one which began like any before it may make one change more, so
// that what is done anew each time does not keep the program from getting ahead. Once it makes no more changes, it runs on.
//
//	ninelives PROGRAM ARGUMENT...
//
// A line on standard output tells of each death: before which change, and after how many.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// armed, as the first argument, makes this program arm itself and become the one that follows.
const armed = "-armed"

func main() {
	// The kernel knows a tracer by its thread, and a filter belongs to a thread until it executes a program.
	runtime.LockOSThread()
	err := errors.New("a program to run is missing: ninelives PROGRAM ARGUMENT")
	switch {
	case len(os.Args) > 2 && os.Args[1] == armed:
		if err = arm(); err == nil {
			err = unix.Exec(os.Args[2], os.Args[2:], os.Environ())
		}
	case len(os.Args) > 1:
		err = lives(os.Args[1:])
	}
	fmt.Fprintln(os.Stderr, "ninelives:", err)
	os.Exit(1)
}

// lives runs the program until it ends by itself, which is an error.
func lives(argv []string) error {
	allowed, begun := 1, map[string]bool{}
	for {
		l, err := begin(argv, allowed)
		if err != nil {
			return err
		}
		if err := l.follow(); err != nil {
			return err
		}
		if len(l.made) <= l.allowed {
			return fmt.Errorf("%s ended by itself", argv[0])
		}
		fmt.Printf("killed before %s, after %d\n", l.made[l.allowed], l.allowed)
		if allowed++; !begun[l.made[0]] {
			allowed = 1
		}
		begun[l.made[0]] = true
	}
}

// life is one run of the program.
type life struct {
	pid     int
	allowed int
	// made are the changes; the one after those that are allowed is the end.
	made []string
	// known are the threads and processes that are traced.
	known map[int]bool
}

// begin starts the program, armed, and stopped before its first instruction.
func begin(argv []string, allowed int) (*life, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, append([]string{armed}, argv...)...) //nolint:noctx // wait4 waits for it, not this
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	l := &life{pid: cmd.Process.Pid, allowed: allowed, known: map[int]bool{}}
	if _, err := unix.Wait4(l.pid, nil, unix.WALL, nil); err != nil {
		return nil, fmt.Errorf("wait for %s: %w", argv[0], err)
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
		unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(l.pid, options); err != nil {
		return nil, fmt.Errorf("trace %s: %w", argv[0], err)
	}
	l.known[l.pid] = true
	return l, unix.PtraceCont(l.pid, 0)
}

// follow returns when the program and all that it ran have ended.
func (l *life) follow() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait: %w", err)
		}
		if !status.Stopped() {
			continue
		}
		if err := unix.PtraceCont(tid, int(l.stopped(tid, status))); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("let %d go on: %w", tid, err)
		}
	}
}

// stopped looks at one that has stopped, and returns the signal with which it goes on.
func (l *life) stopped(tid int, status unix.WaitStatus) unix.Signal {
	isNew := !l.known[tid]
	l.known[tid] = true
	signal := status.StopSignal()
	switch {
	case signal == unix.SIGTRAP && status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		l.called(tid)
		return 0
	case signal == unix.SIGTRAP && status.TrapCause() > 0:
		return 0
	case signal == unix.SIGSTOP && isNew:
		return 0 // all that are made by one that is traced begin so
	}
	return signal
}

// called notes a change that is about to be made. A killed thread does not enter the call (kernel/seccomp.c).
func (l *life) called(tid int) {
	change := describe(tid)
	if change == "" || len(l.made) > l.allowed {
		return
	}
	if l.made = append(l.made, change); len(l.made) > l.allowed {
		_ = unix.Kill(l.pid, unix.SIGKILL) // it is there: it has not been waited for
	}
}
