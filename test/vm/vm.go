// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/kubeovn/sriov-network-operator/test/vm/clone"
	"github.com/kubeovn/sriov-network-operator/test/vm/image"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

// Names of the machine package that a test needs.
type (
	// Command is a program to run in the guest.
	Command = machine.Command
	// Process is one that runs.
	Process = machine.Process
	// Result is what one left that has ended.
	Result = machine.Output
	// Guest is what a guest says of itself.
	Guest = machine.Guest
)

// ForwardAddress is where a guest reaches the address that Forward names.
const ForwardAddress = machine.ForwardAddress

// ErrReset is the cause of an error of a command that a reset of the guest ended.
var ErrReset = machine.ErrReset

// buildTime is how long a build of the images that the cache lacks may take.
const buildTime = 15 * time.Minute

// Option changes the machine that Start gives.
type Option func(*clone.Spec)

// Cmdline adds words to the kernel's command line, such as intel_iommu=off. The
// first use of any words boots and saves a machine with them, which takes about
// forty seconds under emulation.
func Cmdline(words string) Option { return func(s *clone.Spec) { s.Cmdline = words } }

// Hostname sets the guest's host name, which is vm by default.
func Hostname(name string) Option { return func(s *clone.Spec) { s.Hostname = name } }

// Forward lets the guest reach one TCP address of the host, at ForwardAddress.
// Without it the guest reaches nothing outside.
func Forward(address string) Option { return func(s *clone.Spec) { s.Forward = address } }

// VM is a running machine.
type VM struct {
	tb      testing.TB
	machine *clone.Clone
}

// Start gives the test a machine. The machine goes with the test; if the test
// has failed, the log shows what the console said last. What the rig's cache
// lacks is built first. Where it cannot be built, the test fails.
func Start(tb testing.TB, options ...Option) *VM {
	tb.Helper()
	cache, err := image.DefaultCache(os.Getenv)
	if err != nil {
		tb.Fatal(err)
	}
	var spec clone.Spec
	for _, o := range options {
		o(&spec)
	}
	ctx, cancel := context.WithTimeoutCause(tb.Context(), buildTime, fmt.Errorf("the VM was not there within %v", buildTime))
	defer cancel()
	started := time.Now()
	m, err := clone.Start(ctx, image.Builder{Cache: cache, Log: os.Stderr}, spec)
	if err != nil {
		tb.Fatalf("start a VM: %v", err)
	}
	tb.Logf("the VM came up in %.1f s", time.Since(started).Seconds())
	v := &VM{tb: tb, machine: m}
	tb.Cleanup(v.close)
	return v
}

func (v *VM) close() {
	if v.tb.Failed() {
		v.tb.Logf("the guest's console ended with:\n%s", v.Console())
	}
	if err := v.machine.Close(); err != nil {
		v.tb.Errorf("remove the VM: %v", err)
	}
}

// commandTime is far more than any command takes in a guest that does not stand
// still.
const commandTime = 8 * time.Minute

// Run runs a program to its end. An exit code other than 0 is no error; an
// error says that there is no result, which is also so after eight minutes.
func (v *VM) Run(ctx context.Context, argv ...string) (Result, error) {
	return v.RunCommand(ctx, Command{Argv: argv})
}

// RunCommand is Run with an environment, an input and writers of output.
func (v *VM) RunCommand(ctx context.Context, c Command) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	return v.machine.Run(ctx, c)
}

// Shell runs a shell script, with set -e, and returns its standard output. The
// test fails at once if the script does.
func (v *VM) Shell(ctx context.Context, script string) string {
	v.tb.Helper()
	r, err := v.Run(ctx, "sh", "-ec", script)
	if err != nil {
		v.tb.Fatal(err)
	}
	if r.ExitCode != 0 {
		v.tb.Fatalf("exit code %d of the guest's\n%s\n%s%s", r.ExitCode, script, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Start starts a program and returns while it runs. Its Process can be waited
// for and killed. Its output goes to the command's writers alone.
func (v *VM) Start(ctx context.Context, c Command) (*Process, error) {
	return v.machine.Start(ctx, c)
}

// Push copies a file of the host, with its mode, to a path of the guest, whose
// folder exists. What is pushed is in the guest's memory at first: a hard reset
// within half a minute may lose it, unless the guest has synced.
func (v *VM) Push(ctx context.Context, from, to string) error {
	return v.machine.PushFile(ctx, from, to)
}

// WriteFile writes a file of the guest, whose folder exists, as Push does.
func (v *VM) WriteFile(ctx context.Context, path string, mode fs.FileMode, content []byte) error {
	return v.machine.Push(ctx, path, mode, bytes.NewReader(content))
}

// ReadFile returns the content of a guest's file. It reads files of /proc and
// /sys too.
func (v *VM) ReadFile(ctx context.Context, path string) ([]byte, error) {
	var content bytes.Buffer
	err := v.machine.Pull(ctx, path, &content)
	return content.Bytes(), err
}

// Guest returns what the guest says of itself. While it boots, Guest waits.
func (v *VM) Guest(ctx context.Context) (Guest, error) { return v.machine.AwaitAgent(ctx, "") }

// Reboot reboots the guest by systemctl and waits for the next boot to finish.
func (v *VM) Reboot(ctx context.Context) (Guest, error) { return v.machine.Reboot(ctx) }

// HardReset resets the machine as its button does, and waits for the next boot
// to finish. What the guest had not written to its disk is lost.
func (v *VM) HardReset(ctx context.Context) (Guest, error) { return v.machine.HardReset(ctx) }

// AwaitBoot waits until a boot after that of before has finished: for a reboot
// that something in the guest began.
func (v *VM) AwaitBoot(ctx context.Context, before Guest) (Guest, error) {
	return v.machine.AwaitBoot(ctx, before)
}

// Console returns the last lines of the guest's console.
func (v *VM) Console() string { return v.machine.Console(consoleLines) }

const consoleLines = 40

// Machine returns the machine itself, for what is no test's alone.
func (v *VM) Machine() *machine.Machine { return v.machine.Machine }

// PID returns the process id of QEMU.
func (v *VM) PID() int { return v.machine.PID() }
