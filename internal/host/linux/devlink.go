// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

const (
	devlinkFamily = "devlink"
	// devlinkGroup is DEVLINK_GENL_MCGRP_CONFIG_NAME (include/uapi/linux/devlink.h).
	devlinkGroup = "config"
	// paramString is DEVLINK_PARAM_TYPE_STRING, which is NLA_STRING of the
	// kernel's internal numbers (include/net/netlink.h).
	paramString = 5
)

// devlink is host.DevlinkReader.
type devlink struct{ families *families }

// EswitchMode implements host.DevlinkReader.
func (d devlink) EswitchMode(ctx context.Context, dev hw.PCIAddr) (hw.EswitchMode, error) {
	mode, err := d.eswitchMode(ctx, dev)
	if err != nil {
		return "", fmt.Errorf("read eSwitch mode of %s: %w", dev, err)
	}
	return mode, nil
}

func (d devlink) eswitchMode(ctx context.Context, dev hw.PCIAddr) (hw.EswitchMode, error) {
	answer, err := d.families.ask(ctx, devlinkFamily, unix.DEVLINK_CMD_ESWITCH_GET, instance(dev))
	if absentInstance(err) || errors.Is(err, unix.EOPNOTSUPP) {
		return "", fmt.Errorf("%w: %w", host.ErrUnsupported, err)
	}
	if err != nil {
		return "", err
	}
	mode := -1
	err = decode(answer, 0, func(a *netlink.AttributeDecoder) {
		if a.Type() == unix.DEVLINK_ATTR_ESWITCH_MODE {
			mode = int(a.Uint16())
		}
	})
	if err != nil {
		return "", err
	}
	return modeOf(mode)
}

func modeOf(number int) (hw.EswitchMode, error) {
	switch number {
	case -1:
		// The kernel leaves the mode out when the driver cannot tell it
		// (net/devlink/dev.c, devlink_nl_eswitch_fill).
		return "", fmt.Errorf("%w: the driver tells no mode", host.ErrUnsupported)
	case unix.DEVLINK_ESWITCH_MODE_LEGACY:
		return hw.EswitchLegacy, nil
	case unix.DEVLINK_ESWITCH_MODE_SWITCHDEV:
		return hw.EswitchSwitchdev, nil
	}
	return "", fmt.Errorf("the kernel names mode %d, which is neither legacy nor switchdev", number)
}

// instance names the devlink instance of a PCI device.
func instance(dev hw.PCIAddr) *netlink.AttributeEncoder {
	attrs := netlink.NewAttributeEncoder()
	attrs.String(unix.DEVLINK_ATTR_BUS_NAME, "pci")
	attrs.String(unix.DEVLINK_ATTR_DEV_NAME, dev.String())
	return attrs
}

// absentInstance reports whether the error says that there is no such devlink
// instance (ENODEV in net/devlink/netlink.c, devlink_get_from_attrs_lock), or no
// devlink at all.
func absentInstance(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, errNoFamily)
}

// Param implements host.DevlinkReader.
func (d devlink) Param(ctx context.Context, dev hw.PCIAddr, name string) (string, error) {
	value, err := d.runtimeParam(ctx, dev, name)
	if err != nil {
		return "", fmt.Errorf("read devlink parameter %s of %s: %w", name, dev, err)
	}
	return value, nil
}

func (d devlink) runtimeParam(ctx context.Context, dev hw.PCIAddr, name string) (string, error) {
	attrs := instance(dev)
	attrs.String(unix.DEVLINK_ATTR_PARAM_NAME, name)
	answer, err := d.families.ask(ctx, devlinkFamily, unix.DEVLINK_CMD_PARAM_GET, attrs)
	// EINVAL is the kernel's word for a parameter that the driver did not register
	// (net/devlink/param.c, devlink_nl_param_get_doit).
	if absentInstance(err) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return "", fmt.Errorf("%w: %w", host.ErrUnsupported, err)
	}
	if err != nil {
		return "", err
	}
	return parseParam(answer)
}

// param is a devlink parameter as the kernel tells it.
type param struct {
	kind uint8
	// runtime is the value that holds now, nil when there is none of that sort.
	runtime *string
}

// parseParam finds the runtime value of a string parameter.
func parseParam(b []byte) (string, error) {
	var p param
	err := decode(b, 0, func(a *netlink.AttributeDecoder) {
		if a.Type() == unix.DEVLINK_ATTR_PARAM {
			a.Nested(every(p.take))
		}
	})
	switch {
	case err != nil:
		return "", err
	case p.kind != paramString:
		return "", errors.New("the parameter is no string")
	case p.runtime == nil:
		return "", fmt.Errorf("%w: the parameter has no runtime value", host.ErrUnsupported)
	}
	return *p.runtime, nil
}

// take reads one attribute of a parameter.
func (p *param) take(a *netlink.AttributeDecoder) {
	switch a.Type() {
	case unix.DEVLINK_ATTR_PARAM_TYPE:
		p.kind = a.Uint8()
	case unix.DEVLINK_ATTR_PARAM_VALUES_LIST:
		a.Nested(every(func(a *netlink.AttributeDecoder) { a.Nested(p.takeValue) }))
	}
}

// takeValue reads one of a parameter's values.
func (p *param) takeValue(value *netlink.AttributeDecoder) error {
	var data string
	mode := -1
	for value.Next() {
		switch value.Type() {
		case unix.DEVLINK_ATTR_PARAM_VALUE_DATA:
			data = value.String()
		case unix.DEVLINK_ATTR_PARAM_VALUE_CMODE:
			mode = int(value.Uint8())
		}
	}
	if mode == unix.DEVLINK_PARAM_CMODE_RUNTIME {
		p.runtime = &data
	}
	return nil
}

// devlinkControl is host.DevlinkControl.
type devlinkControl struct{ devlink }

// SetEswitchMode implements host.DevlinkControl.
func (d devlinkControl) SetEswitchMode(ctx context.Context, dev hw.PCIAddr, mode hw.EswitchMode) error {
	attempt := fmt.Sprintf("set eSwitch mode of %s to %s", dev, mode)
	number := uint16(unix.DEVLINK_ESWITCH_MODE_LEGACY)
	if mode == hw.EswitchSwitchdev {
		number = unix.DEVLINK_ESWITCH_MODE_SWITCHDEV
	}
	attrs := instance(dev)
	attrs.Uint16(unix.DEVLINK_ATTR_ESWITCH_MODE, number)
	_, err := d.families.ask(ctx, devlinkFamily, unix.DEVLINK_CMD_ESWITCH_SET, attrs)
	if err == nil {
		return nil
	}
	if absentInstance(err) || errors.Is(err, unix.EOPNOTSUPP) && d.noEswitch(ctx, dev) {
		return fmt.Errorf("%s: %w: %w", attempt, host.ErrUnsupported, err)
	}
	return fmt.Errorf("%s: %w", attempt, err)
}

// noEswitch tells a device without an eSwitch from one whose driver answers
// EOPNOTSUPP because it cannot change the mode now.
func (d devlink) noEswitch(ctx context.Context, dev hw.PCIAddr) bool {
	_, err := d.eswitchMode(ctx, dev)
	return errors.Is(err, host.ErrUnsupported)
}

// SetParam implements host.DevlinkControl. A value that the device does not
// support is ErrUnsupported, too.
func (d devlinkControl) SetParam(ctx context.Context, dev hw.PCIAddr, name, value string) error {
	attempt := fmt.Sprintf("set devlink parameter %s of %s to %q", name, dev, value)
	// The kernel says EINVAL both for a missing parameter and for a bad value;
	// reading first tells them apart.
	if _, err := d.runtimeParam(ctx, dev, name); err != nil {
		return fmt.Errorf("%s: %w", attempt, err)
	}
	attrs := instance(dev)
	attrs.String(unix.DEVLINK_ATTR_PARAM_NAME, name)
	attrs.Uint8(unix.DEVLINK_ATTR_PARAM_TYPE, paramString)
	attrs.Uint8(unix.DEVLINK_ATTR_PARAM_VALUE_CMODE, unix.DEVLINK_PARAM_CMODE_RUNTIME)
	attrs.String(unix.DEVLINK_ATTR_PARAM_VALUE_DATA, value)
	_, err := d.families.ask(ctx, devlinkFamily, unix.DEVLINK_CMD_PARAM_SET, attrs)
	if absentInstance(err) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%s: %w: %w", attempt, host.ErrUnsupported, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", attempt, err)
	}
	return nil
}
