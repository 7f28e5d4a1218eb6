// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/godbus/dbus/v5"
)

// power is host.Power. It speaks to the machine's own system bus, whose socket is a
// file below the machine's root.
type power struct{ root string }

// busSocket is where the system bus listens (D-Bus Specification, Well-known
// Message Bus Instances; systemd's dbus.socket).
const busSocket = "run/dbus/system_bus_socket"

// Reboot implements host.Power. logind waits for those who asked it to, such as a
// kubelet with graceful node shutdown; where none runs, systemd is asked for the
// same as by `systemctl reboot`.
func (p power) Reboot(ctx context.Context, why string) error {
	conn, err := dbus.Connect("unix:path="+filepath.Join(p.root, busSocket), dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reboot: connect to the system bus at /%s: %w", busSocket, err)
	}
	defer func() { _ = conn.Close() }() // all that was sent has been answered
	if err := p.ask(ctx, conn, why); err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	return nil
}

func (p power) ask(ctx context.Context, conn *dbus.Conn, why string) error {
	login := conn.Object("org.freedesktop.login1", "/org/freedesktop/login1")
	const manager = "org.freedesktop.login1.Manager."
	// The words are for people; a logind that does not take them reboots as well.
	_ = login.CallWithContext(ctx, manager+"SetWallMessage", 0, "SR-IOV network operator: "+why, true).Err
	err := login.CallWithContext(ctx, manager+"Reboot", 0, false).Err
	if !absent(err) {
		return err
	}
	systemd := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	return systemd.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.StartUnit", 0, "reboot.target", "replace-irreversibly").Err
}

// absent reports whether nobody on the bus answers to the name.
func absent(err error) bool {
	var failure dbus.Error
	if !errors.As(err, &failure) {
		return false
	}
	switch failure.Name {
	case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner",
		"org.freedesktop.DBus.Error.UnknownMethod", "org.freedesktop.systemd1.NoSuchUnit":
		return true
	}
	return false
}
