// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

// Snapshot is a machine that has just booted.
type Snapshot struct {
	Disk  Disk
	Root  string // qcow2; the backing file of what a clone changes
	State string // for machine.Config.State
	key   key
}

// Snapshot returns a machine that has booted with words added to the kernel's
// command line, or none. It boots one if the cache has none, which takes about
// half a minute under emulation.
func (b Builder) Snapshot(ctx context.Context, h machine.Hardware, cmdline string) (Snapshot, error) {
	disk, err := b.Disk(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	return b.snapshot(ctx, disk, h, cmdline)
}

func (b Builder) snapshot(ctx context.Context, disk Disk, h machine.Hardware, cmdline string) (Snapshot, error) {
	version, err := b.qemuVersion(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	how, err := recipe.ReadFile("snapshot.go")
	if err != nil {
		return Snapshot{}, fmt.Errorf("read recipe: %w", err)
	}
	k := keyOf(input{"how", string(how)}, input{"disk", string(disk.key)}, input{"qemu", version},
		input{"hardware", h.Fingerprint()}, input{"cmdline", cmdline})
	build := func(ctx context.Context, dir, _ string) error { return bootAndSave(ctx, disk, h, dir) }
	name := "snapshot"
	if cmdline != "" {
		// Another name than the plain snapshot's, which it is made from while
		// its own lock is held.
		name = "variant"
		build = func(ctx context.Context, dir, _ string) error {
			plain, err := b.snapshot(ctx, disk, h, "")
			if err != nil {
				return err
			}
			return rebootAndSave(ctx, plain, h, cmdline, dir)
		}
	}
	dir, err := b.layer(ctx, layer{name, k, build})
	if err != nil {
		return Snapshot{}, err
	}
	return Snapshot{Disk: disk, Root: filepath.Join(dir, "root.qcow2"), State: filepath.Join(dir, "state"), key: k}, nil
}

// bootAndSave boots a disk for the first time and saves the machine in dir.
func bootAndSave(ctx context.Context, disk Disk, h machine.Hardware, dir string) error {
	c := machine.Config{Hardware: h, Root: filepath.Join(dir, "root.qcow2")}
	return withMachine(ctx, c, disk.Root, func(m *machine.Machine) error {
		if _, err := m.AwaitAgent(ctx, ""); err != nil {
			return fmt.Errorf("%w\nthe console ended with:\n%s", err, m.Console(25))
		}
		return settleAndSave(ctx, m, filepath.Join(dir, "state"))
	})
}

// rebootAndSave reboots a snapshot with words added to the kernel's command
// line and saves the machine in dir.
func rebootAndSave(ctx context.Context, from Snapshot, h machine.Hardware, cmdline, dir string) error {
	c := machine.Config{Hardware: h, Root: filepath.Join(dir, "root.qcow2"), State: from.State}
	return withMachine(ctx, c, from.Root, func(m *machine.Machine) error {
		if err := errors.Join(m.Greet(""), m.Resume(ctx)); err != nil {
			return err
		}
		if err := addToCmdline(ctx, m, cmdline); err != nil {
			return err
		}
		if _, err := m.Reboot(ctx); err != nil {
			return err
		}
		return settleAndSave(ctx, m, filepath.Join(dir, "state"))
	})
}

// addToCmdline changes the boot loader's configuration both as it is and as
// update-grub would write it.
func addToCmdline(ctx context.Context, m *machine.Machine, words string) error {
	for path, mark := range map[string]string{
		"/etc/default/grub":   "GRUB_CMDLINE_LINUX=\"nohz=off highres=off console=ttyS0",
		"/boot/grub/grub.cfg": " ro nohz=off highres=off console=ttyS0",
	} {
		var text bytes.Buffer
		if err := m.Pull(ctx, path, &text); err != nil {
			return err
		}
		changed := strings.Replace(text.String(), mark, mark+" "+words, 1)
		if changed == text.String() {
			return fmt.Errorf("add %q to the kernel's command line: %s has no %q", words, path, mark)
		}
		if err := m.Push(ctx, path, 0o644, strings.NewReader(changed)); err != nil {
			return err
		}
	}
	return nil
}

func settleAndSave(ctx context.Context, m *machine.Machine, state string) error {
	if err := m.AwaitSystem(ctx); err != nil {
		return err
	}
	out, err := m.Run(ctx, machine.Command{Argv: []string{"sh", "-c", "systemctl --failed --quiet --plain; sync"}})
	if err != nil {
		return err
	}
	if out.ExitCode != 0 || out.Stdout != "" {
		return fmt.Errorf("the guest did not boot well: %s%s", out.Stdout, out.Stderr)
	}
	if err := m.Save(ctx, state); err != nil {
		return err
	}
	return os.Chmod(state, 0o644)
}

// withMachine runs a machine, whose root disk it makes on top of backing. Both
// are in the cache, which can be moved as a whole.
func withMachine(ctx context.Context, c machine.Config, backing string, use func(*machine.Machine) error) error {
	run, err := os.MkdirTemp("", "vmrig-")
	if err != nil {
		return fmt.Errorf("make a folder for the machine: %w", err)
	}
	defer func() { _ = os.RemoveAll(run) }() // a folder of $TMPDIR
	c.Dir = run
	relative, err := filepath.Rel(filepath.Dir(c.Root), backing)
	if err != nil {
		return fmt.Errorf("make overlay of %s: %w", backing, err)
	}
	if err := Overlay(ctx, c.Root, relative); err != nil {
		return err
	}
	m, err := machine.Start(ctx, c)
	if err != nil {
		return err
	}
	defer m.Close()
	return use(m)
}

// Overlay makes a qcow2 file that holds what differs from the backing one, whose
// path is absolute or relative to the overlay's folder.
func Overlay(ctx context.Context, path, backing string) error {
	out, err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make overlay of %s: %w: %s", backing, err, bytes.TrimSpace(out))
	}
	return nil
}

// qemuVersion returns the version of QEMU, which it installs if there is none.
func (b Builder) qemuVersion(ctx context.Context) (string, error) {
	if _, err := exec.LookPath(machine.Program); err != nil {
		if err := b.require(ctx, machinePackages()); err != nil {
			return "", err
		}
	}
	out, err := exec.CommandContext(ctx, machine.Program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask QEMU for its version: %w", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}
