// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

const (
	devlinkFamily = "devlink"
	// paramString is DEVLINK_PARAM_TYPE_STRING, which is NLA_STRING of the
	// kernel's internal numbers (include/net/netlink.h).
	paramString = 5
)

// devlink is host.DevlinkReader.
type devlink struct{}

// EswitchMode implements host.DevlinkReader.
func (devlink) EswitchMode(ctx context.Context, dev hw.PCIAddr) (hw.EswitchMode, error) {
	mode, err := eswitchMode(ctx, dev)
	if err != nil {
		return "", fmt.Errorf("read eSwitch mode of %s: %w", dev, err)
	}
	return mode, nil
}

func eswitchMode(ctx context.Context, dev hw.PCIAddr) (hw.EswitchMode, error) {
	answer, err := generic(ctx, devlinkFamily, unix.DEVLINK_CMD_ESWITCH_GET, instance(dev))
	if absentInstance(err) || errors.Is(err, unix.EOPNOTSUPP) {
		return "", fmt.Errorf("%w: %w", host.ErrUnsupported, err)
	}
	if err != nil {
		return "", err
	}
	for _, m := range answer {
		for _, a := range genericAttrs(m) {
			if a.kind == unix.DEVLINK_ATTR_ESWITCH_MODE {
				return modeOf(a.u16())
			}
		}
	}
	// The kernel leaves the mode out when the driver cannot tell it
	// (net/devlink/dev.c, devlink_nl_eswitch_fill).
	return "", fmt.Errorf("%w: the driver tells no mode", host.ErrUnsupported)
}

func modeOf(number uint16) (hw.EswitchMode, error) {
	switch number {
	case unix.DEVLINK_ESWITCH_MODE_LEGACY:
		return hw.EswitchLegacy, nil
	case unix.DEVLINK_ESWITCH_MODE_SWITCHDEV:
		return hw.EswitchSwitchdev, nil
	}
	return "", fmt.Errorf("the kernel names mode %d, which is neither legacy nor switchdev", number)
}

// instance names the devlink instance of a PCI device.
func instance(dev hw.PCIAddr) payload {
	return payload{}.
		addText(unix.DEVLINK_ATTR_BUS_NAME, "pci").
		addText(unix.DEVLINK_ATTR_DEV_NAME, dev.String())
}

// absentInstance reports whether the error says that there is no such devlink
// instance (ENODEV in net/devlink/netlink.c, devlink_get_from_attrs_lock), or no
// devlink at all.
func absentInstance(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, errNoFamily)
}

// Param implements host.DevlinkReader.
func (devlink) Param(ctx context.Context, dev hw.PCIAddr, name string) (string, error) {
	value, err := runtimeParam(ctx, dev, name)
	if err != nil {
		return "", fmt.Errorf("read devlink parameter %s of %s: %w", name, dev, err)
	}
	return value, nil
}

func runtimeParam(ctx context.Context, dev hw.PCIAddr, name string) (string, error) {
	answer, err := generic(ctx, devlinkFamily, unix.DEVLINK_CMD_PARAM_GET,
		instance(dev).addText(unix.DEVLINK_ATTR_PARAM_NAME, name))
	// EINVAL is the kernel's word for a parameter that the driver did not register
	// (net/devlink/param.c, devlink_nl_param_get_doit).
	if absentInstance(err) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return "", fmt.Errorf("%w: %w", host.ErrUnsupported, err)
	}
	if err != nil {
		return "", err
	}
	for _, m := range answer {
		if param, ok := find(genericAttrs(m), unix.DEVLINK_ATTR_PARAM); ok {
			return parseParam(param)
		}
	}
	return "", errMalformed
}

// parseParam finds the runtime value of a string parameter.
func parseParam(b []byte) (string, error) {
	attrs, err := splitAttrs(b)
	if err != nil {
		return "", err
	}
	kind, _ := find(attrs, unix.DEVLINK_ATTR_PARAM_TYPE)
	if (attr{value: kind}).u8() != paramString {
		return "", errors.New("the parameter is no string")
	}
	list, _ := find(attrs, unix.DEVLINK_ATTR_PARAM_VALUES_LIST)
	values, err := splitAttrs(list)
	if err != nil {
		return "", err
	}
	for _, v := range values {
		fields, err := splitAttrs(v.value)
		if err != nil {
			return "", err
		}
		mode, ok := find(fields, unix.DEVLINK_ATTR_PARAM_VALUE_CMODE)
		if ok && (attr{value: mode}).u8() == unix.DEVLINK_PARAM_CMODE_RUNTIME {
			data, _ := find(fields, unix.DEVLINK_ATTR_PARAM_VALUE_DATA)
			return attr{value: data}.text(), nil
		}
	}
	return "", fmt.Errorf("%w: the parameter has no runtime value", host.ErrUnsupported)
}

// devlinkControl is host.DevlinkControl.
type devlinkControl struct{}

// SetEswitchMode implements host.DevlinkControl.
func (devlinkControl) SetEswitchMode(ctx context.Context, dev hw.PCIAddr, mode hw.EswitchMode) error {
	attempt := fmt.Sprintf("set eSwitch mode of %s to %s", dev, mode)
	number := uint16(unix.DEVLINK_ESWITCH_MODE_LEGACY)
	if mode == hw.EswitchSwitchdev {
		number = unix.DEVLINK_ESWITCH_MODE_SWITCHDEV
	}
	_, err := generic(ctx, devlinkFamily, unix.DEVLINK_CMD_ESWITCH_SET,
		instance(dev).addU16(unix.DEVLINK_ATTR_ESWITCH_MODE, number))
	if err == nil {
		return nil
	}
	if absentInstance(err) || errors.Is(err, unix.EOPNOTSUPP) && noEswitch(ctx, dev) {
		return fmt.Errorf("%s: %w: %w", attempt, host.ErrUnsupported, err)
	}
	return fmt.Errorf("%s: %w", attempt, err)
}

// noEswitch tells a device without an eSwitch from one whose driver answers
// EOPNOTSUPP because it cannot change the mode now.
func noEswitch(ctx context.Context, dev hw.PCIAddr) bool {
	_, err := eswitchMode(ctx, dev)
	return errors.Is(err, host.ErrUnsupported)
}

// SetParam implements host.DevlinkControl. A value that the device does not
// support is ErrUnsupported, too.
func (devlinkControl) SetParam(ctx context.Context, dev hw.PCIAddr, name, value string) error {
	attempt := fmt.Sprintf("set devlink parameter %s of %s to %q", name, dev, value)
	// The kernel says EINVAL both for a missing parameter and for a bad value;
	// reading first tells them apart.
	if _, err := runtimeParam(ctx, dev, name); err != nil {
		return fmt.Errorf("%s: %w", attempt, err)
	}
	_, err := generic(ctx, devlinkFamily, unix.DEVLINK_CMD_PARAM_SET, instance(dev).
		addText(unix.DEVLINK_ATTR_PARAM_NAME, name).
		addU8(unix.DEVLINK_ATTR_PARAM_TYPE, paramString).
		addU8(unix.DEVLINK_ATTR_PARAM_VALUE_CMODE, unix.DEVLINK_PARAM_CMODE_RUNTIME).
		addText(unix.DEVLINK_ATTR_PARAM_VALUE_DATA, value))
	if absentInstance(err) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%s: %w: %w", attempt, host.ErrUnsupported, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", attempt, err)
	}
	return nil
}
