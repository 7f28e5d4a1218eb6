// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// Program is the name of QEMU's program.
const Program = "qemu-system-x86_64"

// Config says what to start.
type Config struct {
	Dir      string // for this machine's own files; its owner removes it
	Hardware Hardware
	Root     string // qcow2 file of the root disk, which the guest changes
	Network  Network
	// State is a saved state to restore. Empty boots from the disk.
	State string
	// Direct boots a kernel without the boot loader.
	Direct *DirectBoot
}

// DirectBoot is a kernel for QEMU to load by itself.
type DirectBoot struct {
	Kernel, Initrd, Cmdline string
}

// ErrReset is the cause of a call's error when the guest was reset during the call.
var ErrReset = errors.New("guest was reset")

// DeadError is the end of a machine.
type DeadError struct {
	Reason  string
	Stderr  string // of QEMU
	Console string // the last lines of the guest's console
}

func (e *DeadError) Error() string {
	s := "machine has ended: " + e.Reason
	if e.Stderr != "" {
		s += "\nQEMU said:\n" + e.Stderr
	}
	if e.Console != "" {
		s += "\nthe console ended with:\n" + e.Console
	}
	return s
}

// Machine is a running machine.
type Machine struct {
	dir     string
	process *process
	qmp     *qmp
	agent   *link

	mu        sync.Mutex
	reason    string // why the machine ended or will end; the first one counts
	dead      chan struct{}
	migration chan string // states of saving or restoring, in order
	saving    bool        // the guest is stopped on purpose
}

// Start starts a machine. It returns when QEMU has accepted its configuration;
// the guest then boots, or is restored and stands still until Resume.
func Start(ctx context.Context, c Config) (*Machine, error) {
	m := &Machine{dir: c.Dir, dead: make(chan struct{}), migration: make(chan string, 64)}
	exchange := filepath.Join(c.Dir, "exchange.raw")
	if err := makeExchange(exchange); err != nil {
		return nil, err
	}
	control, err := newChannel("QMP")
	if err != nil {
		return nil, err
	}
	defer control.theirs.Close()
	agent, err := newChannel("agent")
	if err != nil {
		return nil, errors.Join(err, control.ours.Close())
	}
	defer agent.theirs.Close()

	m.process, err = startProcess(c.Dir, m.args(c, exchange), control.theirs, agent.theirs)
	if err != nil {
		return nil, errors.Join(err, control.ours.Close(), agent.ours.Close())
	}
	m.qmp = newQMP(control.ours, m.event)
	m.agent = newLink(agent.ours, exchange, m.dead, m.Death)
	go m.watch()
	if err := m.prepare(ctx, c); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func makeExchange(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make exchange disk: %w", err)
	}
	if err := errors.Join(f.Truncate(protocol.ExchangeBytes), f.Close()); err != nil {
		return fmt.Errorf("make exchange disk: %w", err)
	}
	return nil
}

func (m *Machine) args(c Config, exchange string) []string {
	args := c.Hardware.args(Drives{Root: c.Root, Exchange: exchange}, c.Network)
	args = append(args,
		"-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
		"-chardev", "socket,id=agent,fd=4",
		"-chardev", "file,id=console,path="+escape(m.consolePath()), "-serial", "chardev:console",
	)
	if c.State != "" {
		args = append(args, "-S", "-incoming", "defer")
	}
	if c.Direct != nil {
		args = append(args, "-kernel", c.Direct.Kernel, "-initrd", c.Direct.Initrd, "-append", c.Direct.Cmdline)
	}
	return args
}

func (m *Machine) prepare(ctx context.Context, c Config) error {
	if err := m.run(ctx, "qmp_capabilities", nil); err != nil {
		return err
	}
	capability := struct {
		Capability string `json:"capability"`
		State      bool   `json:"state"`
	}{"events", true}
	arguments := struct {
		Capabilities []any `json:"capabilities"`
	}{[]any{capability}}
	if err := m.run(ctx, "migrate-set-capabilities", arguments); err != nil {
		return err
	}
	if c.State == "" {
		return nil
	}
	if err := m.run(ctx, "migrate-incoming", migrationTarget{"file:" + c.State}); err != nil {
		return fmt.Errorf("restore %s: %w", c.State, err)
	}
	if err := m.awaitMigration(ctx); err != nil {
		return fmt.Errorf("restore %s: %w", c.State, err)
	}
	return nil
}

type migrationTarget struct {
	URI string `json:"uri"`
}

// Resume lets a restored or stopped guest run.
func (m *Machine) Resume(ctx context.Context) error { return m.run(ctx, "cont", nil) }

// Save stops the guest and writes its state to a file. The root disk then
// belongs to that state and must not change again; the machine is of no more
// use than to be closed.
func (m *Machine) Save(ctx context.Context, path string) error {
	m.mu.Lock()
	m.saving = true
	m.mu.Unlock()
	if err := m.run(ctx, "stop", nil); err != nil {
		return err
	}
	limits := struct {
		MaxBandwidth int64 `json:"max-bandwidth"`
	}{10 << 30}
	if err := m.run(ctx, "migrate-set-parameters", limits); err != nil {
		return err
	}
	if err := m.run(ctx, "migrate", migrationTarget{"file:" + path}); err != nil {
		return fmt.Errorf("save to %s: %w", path, err)
	}
	if err := m.awaitMigration(ctx); err != nil {
		return fmt.Errorf("save to %s: %w", path, err)
	}
	// Ending in order makes QEMU close the disk's image.
	if err := m.run(ctx, "quit", nil); err != nil {
		return err
	}
	select {
	case <-m.dead:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("quit QEMU: %w", context.Cause(ctx))
	}
}

func (m *Machine) awaitMigration(ctx context.Context) error {
	for {
		select {
		case status := <-m.migration:
			switch status {
			case "completed":
				return nil
			case "failed", "cancelled":
				return fmt.Errorf("migration %s: %s", status, m.process.epitaph())
			}
		case <-m.dead:
			return m.Death()
		case <-ctx.Done():
			return fmt.Errorf("wait for the migration: %w", context.Cause(ctx))
		}
	}
}

func (m *Machine) run(ctx context.Context, command string, arguments any) error {
	err := m.qmp.run(ctx, command, arguments)
	if errors.Is(err, errDisconnected) {
		<-m.dead // the channel breaks a moment before QEMU's end is known
		return fmt.Errorf("QMP %s: %w", command, m.Death())
	}
	return err
}

// event takes in what QEMU tells.
func (m *Machine) event(e qmpEvent) {
	var data struct {
		Status string
		Reason string
	}
	// An event without data leaves data empty.
	_ = json.Unmarshal(e.Data, &data)
	switch e.Name {
	case "MIGRATION":
		m.migration <- data.Status
	case "RESET":
		m.agent.reset(ErrReset)
	case "GUEST_PANICKED":
		m.fail("the guest's kernel panicked")
	case "STOP":
		m.stopped()
	case "SHUTDOWN":
		m.note("QEMU shut down: " + data.Reason)
	}
}

// stopped ends the machine when QEMU stops the guest by itself, as it does when
// the accelerator breaks down.
func (m *Machine) stopped() {
	m.mu.Lock()
	saving := m.saving
	m.mu.Unlock()
	if !saving {
		m.fail("QEMU stopped the guest after an internal error")
	}
}

// watch ends the machine when QEMU ends.
func (m *Machine) watch() {
	<-m.process.exited
	reason := "QEMU ended"
	if m.process.err != nil {
		reason = "QEMU ended: " + m.process.err.Error()
	}
	m.fail(reason)
}

// note keeps why the machine is about to end.
func (m *Machine) note(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reason == "" {
		m.reason = reason
	}
}

func (m *Machine) fail(reason string) {
	m.note(reason)
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.dead:
	default:
		close(m.dead)
	}
}

// Dead is closed when the machine has ended.
func (m *Machine) Dead() <-chan struct{} { return m.dead }

// Death returns why the machine ended: a *DeadError. It returns nil while the
// machine runs.
func (m *Machine) Death() error {
	select {
	case <-m.dead:
	default:
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return &DeadError{Reason: m.reason, Stderr: m.process.epitaph(), Console: m.Console(consoleTail)}
}

// consoleTail is how many lines of the console an error shows.
const consoleTail = 25

func (m *Machine) consolePath() string { return filepath.Join(m.dir, "console.log") }

// Console returns the last lines of the guest's console.
func (m *Machine) Console(lines int) string {
	b, err := os.ReadFile(m.consolePath())
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(strings.ReplaceAll(string(b), "\r", ""))
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// PID returns QEMU's process id.
func (m *Machine) PID() int { return m.process.cmd.Process.Pid }

// Close ends the machine at once and waits until QEMU has gone.
func (m *Machine) Close() {
	m.note("it was closed")
	m.process.kill()
	<-m.dead
	_ = m.qmp.conn.Close()
	m.agent.close()
}
