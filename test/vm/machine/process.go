// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// channel is a pair of connected sockets: ours, and the one that QEMU inherits.
type channel struct {
	ours   net.Conn
	theirs *os.File
}

func newChannel(name string) (channel, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return channel{}, fmt.Errorf("make %s channel: %w", name, err)
	}
	ours := os.NewFile(uintptr(fds[0]), name)
	defer func() { _ = ours.Close() }() // the connection has its own copy
	theirs := os.NewFile(uintptr(fds[1]), name)
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = theirs.Close()
		return channel{}, fmt.Errorf("make %s channel: %w", name, err)
	}
	return channel{ours: conn, theirs: theirs}, nil
}

// process is a running QEMU.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed after the end, when state may be read
	err    error
	stderr string // path
}

// startProcess starts QEMU with files as its descriptors 3, 4, ... QEMU ends
// with this process, however that ends.
func startProcess(dir string, args []string, files ...*os.File) (*process, error) {
	stderr, err := os.OpenFile(filepath.Join(dir, "qemu.err"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	defer func() { _ = stderr.Close() }() // QEMU has its own copy
	//nolint:noctx // QEMU outlives every call, that which starts it too: kill ends it
	cmd := exec.Command(Program, args...)
	p := &process{cmd: cmd, exited: make(chan struct{}), stderr: stderr.Name()}
	p.cmd.Dir = dir
	p.cmd.ExtraFiles = files
	p.cmd.Stdout, p.cmd.Stderr = stderr, stderr
	// A process group of its own keeps the terminal's Ctrl-C from QEMU.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the starting thread ends, so this
		// one has to last as long as QEMU does.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	return p, nil
}

// kill ends QEMU and waits until it has gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// epitaph returns what QEMU wrote to its standard error.
func (p *process) epitaph() string {
	b, err := os.ReadFile(p.stderr)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}
