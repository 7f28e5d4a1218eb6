// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a running program of the control plane.
type process struct {
	name   string
	log    string // path of what it writes
	cmd    *exec.Cmd
	exited chan struct{} // closed after the end
	killed sync.Once
}

// start starts a program whose output goes to a file of a folder. It ends with
// this process, however that ends.
func start(dir, program string, args ...string) (*process, error) {
	return startWith(nil, dir, program, args...)
}

// startWith is start with more variables in the environment.
func startWith(env []string, dir, program string, args ...string) (*process, error) {
	name := filepath.Base(program)
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the program has its own copy
	//nolint:noctx // the program outlives every call, that which starts it too: kill ends it
	cmd := exec.Command(program, args...)
	p := &process{name: name, log: log.Name(), cmd: cmd, exited: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A process group of its own keeps the terminal's Ctrl-C from it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the starting thread ends, so this
		// one has to last as long as the program does.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // it is killed in the end: there is nothing to learn
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// kill ends the program and waits until it has gone. What it stored goes with
// it, so there is no point in asking politely.
func (p *process) kill() {
	p.killed.Do(func() { _ = p.cmd.Process.Kill() })
	<-p.exited
}

// died reports whether the program has ended by itself.
func (p *process) died() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended; it wrote last:\n%s", p.name, p.tail())
	default:
		return nil
	}
}

// tailLines is how much of a log is worth reading.
const tailLines = 25

func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// pollEvery is how often the control plane is asked whether it is there.
const pollEvery = 25 * time.Millisecond

// await asks until the answer is yes, something breaks, or a program dies that
// has to answer. What was wrong last is part of the error.
func await(ctx context.Context, what string, processes []*process, ask func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		for _, p := range processes {
			if death := p.died(); death != nil {
				return fmt.Errorf("wait for %s: %w", what, death)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for %s: %w", what, context.Cause(ctx)), err)
		}
	}
}
