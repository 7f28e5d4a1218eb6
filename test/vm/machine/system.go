// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// AwaitSystem waits until the guest's systemd has started all it has to start
// and udev has dealt with all devices: the NICs get their drivers and names
// after the last unit has started. Units that failed are no error.
func (m *Machine) AwaitSystem(ctx context.Context) error {
	out, err := m.Run(ctx, Command{Argv: []string{"systemctl", "is-system-running", "--wait"}})
	if err != nil {
		return fmt.Errorf("wait for the guest's system: %w", err)
	}
	switch state := strings.TrimSpace(out.Stdout); state {
	case "running", "degraded":
	default:
		return fmt.Errorf("wait for the guest's system: it is %q: %s", state, out.Stderr)
	}
	out, err = m.Run(ctx, Command{Argv: []string{"udevadm", "settle"}})
	if err == nil && out.ExitCode != 0 {
		err = fmt.Errorf("udevadm settle: exit code %d: %s", out.ExitCode, out.Stderr)
	}
	if err != nil {
		return fmt.Errorf("wait for the guest's devices: %w", err)
	}
	return nil
}

// Reboot reboots the guest by systemctl and waits for the next boot to finish.
func (m *Machine) Reboot(ctx context.Context) (Guest, error) {
	return m.bootAgain(ctx, "reboot", func() error {
		out, err := m.Run(ctx, Command{Argv: []string{"systemctl", "reboot"}})
		if err == nil && out.ExitCode != 0 {
			return fmt.Errorf("systemctl reboot: exit code %d: %s", out.ExitCode, out.Stderr)
		}
		// The reboot may well be faster than the answer.
		if errors.Is(err, ErrReset) || errors.Is(err, errRestarted) {
			return nil
		}
		return err
	})
}

// HardReset resets the machine as its button does, and waits for the next boot
// to finish. What the guest had not written to its disk is lost.
func (m *Machine) HardReset(ctx context.Context) (Guest, error) {
	return m.bootAgain(ctx, "hard reset", func() error {
		if err := m.run(ctx, "system_reset", nil); !errors.Is(err, ErrReset) {
			return err
		}
		return nil // the reset was faster than the answer
	})
}

func (m *Machine) bootAgain(ctx context.Context, name string, trigger func() error) (Guest, error) {
	before, err := m.AwaitAgent(ctx, "")
	if err == nil {
		err = trigger()
	}
	if err != nil {
		return Guest{}, fmt.Errorf("%s: %w", name, err)
	}
	return m.AwaitBoot(ctx, before)
}

// bootTime is how long a guest may take to boot again. Under emulation it takes
// half a minute, and several times that where other machines want the CPUs.
const bootTime = 5 * time.Minute

// AwaitBoot waits until a boot after that of before has finished. Its error
// shows what the console said last.
func (m *Machine) AwaitBoot(ctx context.Context, before Guest) (Guest, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTime, fmt.Errorf("it was not there within %v", bootTime))
	defer cancel()
	guest, err := m.AwaitAgent(ctx, before.BootID)
	if err == nil {
		err = m.AwaitSystem(ctx)
	}
	if err != nil {
		return Guest{}, fmt.Errorf("wait for the next boot: %w\nthe console ended with:\n%s", err, m.Console(consoleTail))
	}
	return guest, nil
}
