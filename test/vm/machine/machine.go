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

// Machine is a running machine. Each boot has a QEMU of its own: a reset ends
// QEMU, and the next one starts from the disk. In a QEMU under TCG that had been
// restored and then reset, a guest's second CPU was seen to get no timer
// interrupts any more, for good; in a new one it has not been.
type Machine struct {
	config   Config
	exchange string // path of the exchange disk
	agent    *link

	mu        sync.Mutex
	qemu      *emulator
	closing   bool
	reason    string // why the machine ended or will end; the first one counts
	dead      chan struct{}
	migration chan string // states of saving or restoring, in order
	saving    bool        // the guest is stopped on purpose
}

// emulator is one QEMU.
type emulator struct {
	process *process
	qmp     *qmp
	over    chan struct{} // closed when it has ended and its successor, if any, has started

	mu    sync.Mutex
	reset bool // it ends because the guest is reset
}

// Start starts a machine. It returns when QEMU has accepted its configuration;
// the guest then boots, or is restored and stands still until Resume.
func Start(ctx context.Context, c Config) (*Machine, error) {
	m := &Machine{config: c, exchange: filepath.Join(c.Dir, "exchange.raw"), dead: make(chan struct{}), migration: make(chan string, 64)}
	if err := makeExchange(m.exchange); err != nil {
		return nil, err
	}
	m.agent = newLink(m.exchange, m.dead, m.Death)
	q, err := m.launch(c)
	if err != nil {
		return nil, err
	}
	m.qemu = q
	go m.watch(q)
	if err := m.prepare(ctx, c); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// launch starts QEMU and connects the agent's link to it.
func (m *Machine) launch(c Config) (*emulator, error) {
	control, err := newChannel("QMP")
	if err != nil {
		return nil, err
	}
	defer func() { _ = control.theirs.Close() }() // QEMU has its own copy
	agent, err := newChannel("agent")
	if err != nil {
		return nil, errors.Join(err, control.ours.Close())
	}
	defer func() { _ = agent.theirs.Close() }()
	q := &emulator{over: make(chan struct{})}
	q.process, err = startProcess(c.Dir, m.args(c), control.theirs, agent.theirs)
	if err != nil {
		return nil, errors.Join(err, control.ours.Close(), agent.ours.Close())
	}
	q.qmp = newQMP(control.ours, func(e qmpEvent) { m.event(q, e) })
	m.agent.attach(agent.ours)
	return q, nil
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

func (m *Machine) args(c Config) []string {
	args := c.Hardware.args(Drives{Root: c.Root, Exchange: m.exchange}, c.Network)
	args = append(args,
		"-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
		"-chardev", "socket,id=agent,fd=4",
		"-chardev", "file,id=console,append=on,path="+escape(m.consolePath()), "-serial", "chardev:console",
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
	err := m.followMigration(ctx)
	if err != nil || c.State == "" {
		return err
	}
	if err := m.run(ctx, "migrate-incoming", migrationTarget{"file:" + c.State}); err != nil {
		return fmt.Errorf("restore %s: %w", c.State, err)
	}
	if err := m.awaitMigration(ctx); err != nil {
		return fmt.Errorf("restore %s: %w", c.State, err)
	}
	return nil
}

// followMigration makes QEMU tell the states of saving and restoring.
func (m *Machine) followMigration(ctx context.Context) error {
	capability := struct {
		Capability string `json:"capability"`
		State      bool   `json:"state"`
	}{"events", true}
	arguments := struct {
		Capabilities []any `json:"capabilities"`
	}{[]any{capability}}
	return m.run(ctx, "migrate-set-capabilities", arguments)
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
				return fmt.Errorf("migration %s: %s", status, m.current().process.epitaph())
			}
		case <-m.dead:
			return m.Death()
		case <-ctx.Done():
			return fmt.Errorf("wait for the migration: %w", context.Cause(ctx))
		}
	}
}

// run carries out a QMP command. It returns ErrReset when a reset of the guest
// came in between.
func (m *Machine) run(ctx context.Context, command string, arguments any) error {
	q := m.current()
	err := q.qmp.run(ctx, command, arguments)
	if !errors.Is(err, errDisconnected) {
		return err
	}
	<-q.over // the channel breaks a moment before QEMU's end is known
	if death := m.Death(); death != nil {
		return fmt.Errorf("QMP %s: %w", command, death)
	}
	return fmt.Errorf("QMP %s: %w", command, ErrReset)
}

func (m *Machine) current() *emulator {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.qemu
}

// event takes in what QEMU tells.
func (m *Machine) event(q *emulator, e qmpEvent) {
	var data struct {
		Status string
		Reason string
	}
	// An event without data leaves data empty.
	_ = json.Unmarshal(e.Data, &data)
	switch e.Name {
	case "MIGRATION":
		m.migration <- data.Status
	case "GUEST_PANICKED":
		m.fail("the guest's kernel panicked")
	case "STOP":
		m.stopped()
	case "SHUTDOWN":
		m.shutDown(q, data.Reason)
	}
}

// shutDown takes in why QEMU is about to end; the reasons are QAPI's ShutdownCause.
func (m *Machine) shutDown(q *emulator, reason string) {
	if reason != "guest-reset" && reason != "host-qmp-system-reset" {
		m.note("QEMU shut down: " + reason)
		return
	}
	q.mu.Lock()
	q.reset = true
	q.mu.Unlock()
	m.agent.reset(ErrReset)
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

// watch starts the next QEMU when one has ended for a reset, and ends the
// machine when it has ended for anything else.
func (m *Machine) watch(q *emulator) {
	<-q.process.exited
	defer close(q.over)
	q.mu.Lock()
	reset := q.reset
	q.mu.Unlock()
	switch {
	case reset:
		if err := m.bootNext(); err != nil {
			m.fail("it was reset: " + err.Error())
		}
	case q.process.err != nil:
		m.fail("QEMU ended: " + q.process.err.Error())
	default:
		m.fail("QEMU ended")
	}
}

// bootNext starts the QEMU of the next boot.
func (m *Machine) bootNext() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return errors.New("it was closed")
	}
	c := m.config
	c.State = ""
	q, err := m.launch(c)
	if err != nil {
		return err
	}
	_ = m.qemu.qmp.conn.Close()
	m.qemu = q
	go m.watch(q)
	go func() {
		if err := m.prepare(context.Background(), c); err != nil {
			m.fail("it was reset: " + err.Error())
		}
	}()
	return nil
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
	return &DeadError{Reason: m.reason, Stderr: m.qemu.process.epitaph(), Console: m.Console(consoleTail)}
}

// consoleTail is how many lines of the console an error shows.
const consoleTail = 25

func (m *Machine) consolePath() string { return filepath.Join(m.config.Dir, "console.log") }

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

// PID returns the process id of the QEMU of this boot.
func (m *Machine) PID() int { return m.current().process.cmd.Process.Pid }

// Close ends the machine at once and waits until QEMU has gone.
func (m *Machine) Close() {
	m.note("it was closed")
	m.mu.Lock()
	m.closing = true
	q := m.qemu
	m.mu.Unlock()
	q.process.kill()
	<-m.dead
	_ = q.qmp.conn.Close()
	m.agent.close()
}
