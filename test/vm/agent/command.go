// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// drainTime is how long a command's output may come after its end, from
// children that hold its pipes open.
const drainTime = 500 * time.Millisecond

// command is a running program.
type command struct {
	cmd   *exec.Cmd
	stdin *queue
	tty   *terminal // nil without one
}

// output takes what a command writes.
type output func(kind protocol.Kind, b []byte)

func startCommand(ctx context.Context, spec protocol.Command, out output) (*command, error) {
	if len(spec.Argv) == 0 {
		return nil, errors.New("run command: no program named")
	}
	cmd := exec.CommandContext(ctx, spec.Argv[0], spec.Argv[1:]...)
	cmd.Dir = spec.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/root"
	}
	cmd.Env = append(append(os.Environ(), baseEnv()...), spec.Env...)
	cmd.WaitDelay = drainTime
	c := &command{cmd: cmd, stdin: newQueue()}
	start := c.startPlain
	if spec.TTY != nil {
		start = func(out output) error { return c.startTTY(*spec.TTY, out) }
	}
	if err := start(out); err != nil {
		c.stdin.close()
		return nil, fmt.Errorf("run %q: %w", spec.Argv, err)
	}
	return c, nil
}

// baseEnv is what systemd leaves out of a service's environment.
func baseEnv() []string {
	return []string{"HOME=/root", "USER=root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
}

func (c *command) startPlain(out output) error {
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return err
	}
	c.cmd.Stdout = frames{protocol.KindStdout, out}
	c.cmd.Stderr = frames{protocol.KindStderr, out}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() {
		// A program need not read its input: a closed pipe is no error.
		_, _ = io.Copy(stdin, c.stdin)
		_ = stdin.Close()
	}()
	return nil
}

func (c *command) startTTY(size protocol.Terminal, out output) error {
	tty, err := openTerminal(size)
	if err != nil {
		return err
	}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = tty.slave, tty.slave, tty.slave
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	c.cmd.Env = append(c.cmd.Env, "TERM=xterm")
	err = c.cmd.Start()
	_ = tty.slave.Close()
	if err != nil {
		_ = tty.master.Close()
		return err
	}
	c.tty = tty
	go func() { _, _ = io.Copy(tty.master, c.stdin) }()
	go tty.copyTo(frames{protocol.KindStdout, out})
	return nil
}

func (c *command) wait() (protocol.Result, error) {
	err := c.cmd.Wait()
	c.stdin.close()
	if c.tty != nil {
		c.tty.drain(drainTime)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return protocol.Result{}, fmt.Errorf("wait for %q: %w", c.cmd.Args, err)
	}
	status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return protocol.Result{Exit: 128 + int(status.Signal()), Signal: int(status.Signal())}, nil
	}
	return protocol.Result{Exit: c.cmd.ProcessState.ExitCode()}, nil
}

// signal sends a signal. A process that has gone already is no error.
func (c *command) signal(number unix.Signal, scope protocol.Scope) {
	pid := c.cmd.Process.Pid
	if scope == protocol.ScopeGroup {
		// Setpgid and Setsid both make the command the leader of its group.
		_ = unix.Kill(-pid, number)
		return
	}
	_ = c.cmd.Process.Signal(number)
}

// frames is a writer that cuts what it is given into frames.
type frames struct {
	kind protocol.Kind
	out  output
}

func (f frames) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(len(rest), protocol.MaxBody)
		f.out(f.kind, rest[:n])
		rest = rest[n:]
	}
	return len(b), nil
}
