// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// Command is a program to run in the guest, as root, in /root unless Dir says
// otherwise.
type Command struct {
	Argv   []string
	Env    []string // name=value, added to a login's usual environment
	Dir    string
	Stdin  io.Reader          // nil is an empty input
	Stdout io.Writer          // called as output comes; must not wait for the guest
	Stderr io.Writer          // likewise
	TTY    *protocol.Terminal // nil is no terminal
}

// Output is what a command that has ended left.
type Output struct {
	Stdout, Stderr string
	ExitCode       int            // 128 and the signal's number, as in a shell, after a signal
	Signal         syscall.Signal // that ended it; 0 is none
}

// Process is a call to the agent that is under way: a command, or a piece of a file.
type Process struct {
	link           *link
	id             uint32
	stdout, stderr io.Writer

	once   sync.Once
	done   chan struct{} // closed after the end, when the rest may be read
	result protocol.Result
	err    error
}

func (p *Process) frame(f protocol.Frame) {
	switch f.Kind {
	case protocol.KindStdout:
		p.copy(p.stdout, f.Body)
	case protocol.KindStderr:
		p.copy(p.stderr, f.Body)
	case protocol.KindResult:
		var r protocol.Result
		if err := json.Unmarshal(f.Body, &r); err != nil {
			p.finish(r, fmt.Errorf("read the agent's result: %w", err))
			return
		}
		if r.Error != "" {
			p.finish(r, errors.New(r.Error))
			return
		}
		p.finish(r, nil)
	case protocol.KindWelcome: // of the link
	case protocol.KindHello, protocol.KindCall, protocol.KindStdin, protocol.KindSignal: // the host's own to send
	}
}

func (p *Process) copy(w io.Writer, b []byte) {
	if w == nil {
		return
	}
	// What the caller's writer refuses is the caller's to know.
	_, _ = w.Write(b)
}

func (p *Process) finish(r protocol.Result, err error) {
	p.once.Do(func() {
		p.result, p.err = r, err
		close(p.done)
	})
}

// Start starts a command. If the guest is booting, it waits for it first.
func (m *Machine) Start(ctx context.Context, c Command) (*Process, error) {
	spec := protocol.Command{Argv: c.Argv, Env: c.Env, Dir: c.Dir, TTY: c.TTY}
	p, err := m.agent.call(ctx, protocol.Call{Command: &spec}, c.Stdout, c.Stderr)
	if err != nil {
		return nil, fmt.Errorf("run %q: %w", c.Argv, err)
	}
	go p.feed(c.Stdin)
	return p, nil
}

func (p *Process) feed(r io.Reader) {
	if r != nil {
		// An input that breaks ends where it broke.
		_, _ = io.Copy(stdinFrames{p}, r)
	}
	p.send(protocol.KindStdin, nil)
}

// stdinFrames is a writer to a process's input.
type stdinFrames struct{ p *Process }

func (s stdinFrames) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(len(rest), protocol.MaxBody)
		s.p.send(protocol.KindStdin, rest[:n])
		rest = rest[n:]
	}
	return len(b), nil
}

func (p *Process) send(kind protocol.Kind, body []byte) {
	b, err := protocol.Encode(protocol.Frame{Kind: kind, ID: p.id, Body: body})
	if err == nil {
		p.link.enqueue(b)
	}
}

// Signal sends a signal to the process alone, or to it and all it started. One
// that has ended takes no notice.
func (p *Process) Signal(s syscall.Signal, scope protocol.Scope) error {
	b, err := protocol.EncodeJSON(protocol.KindSignal, p.id, protocol.Signal{Number: int(s), Scope: scope})
	if err != nil {
		return err
	}
	p.link.enqueue(b)
	return nil
}

// Kill sends SIGKILL to the process alone, as the kernel's OOM killer does.
func (p *Process) Kill() error { return p.Signal(syscall.SIGKILL, protocol.ScopeProcess) }

// Wait waits for the end. Its error says why there is no result: the machine
// has ended, the guest was reset, the program could not be started, or ctx is
// done, which also kills the process and what it started.
func (p *Process) Wait(ctx context.Context) (Output, error) {
	select {
	case <-p.done:
	case <-p.link.dead:
		return Output{}, p.link.death()
	case <-ctx.Done():
		return Output{}, errors.Join(context.Cause(ctx), p.Signal(syscall.SIGKILL, protocol.ScopeGroup))
	}
	if p.err != nil {
		// A reset may be how a machine's end begins.
		select {
		case <-p.link.dead:
			return Output{}, p.link.death()
		default:
			return Output{}, p.err
		}
	}
	return Output{ExitCode: p.result.Exit, Signal: syscall.Signal(p.result.Signal)}, nil
}

// Run runs a command to its end and returns what it wrote, besides to the
// command's own writers. An exit code other than 0 is no error.
func (m *Machine) Run(ctx context.Context, c Command) (Output, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = tee(&stdout, c.Stdout), tee(&stderr, c.Stderr)
	p, err := m.Start(ctx, c)
	if err != nil {
		return Output{}, err
	}
	out, err := p.Wait(ctx)
	select {
	case <-p.done:
		// Only now does nobody write to the buffers any more.
		out.Stdout, out.Stderr = stdout.String(), stderr.String()
	default:
	}
	if err != nil {
		return out, fmt.Errorf("run %q: %w", c.Argv, err)
	}
	return out, nil
}

func tee(buffer, w io.Writer) io.Writer {
	if w == nil {
		return buffer
	}
	return io.MultiWriter(buffer, w)
}

// Greet begins a session with the guest's agent, which sets the guest's clock
// and, unless it is empty, its host name.
func (m *Machine) Greet(hostname string) error { return m.agent.greet(hostname) }

// AwaitAgent waits until the agent of a guest with a boot id other than after
// is in session, and returns what it says of the guest.
func (m *Machine) AwaitAgent(ctx context.Context, after string) (Guest, error) {
	return m.agent.await(ctx, after)
}
