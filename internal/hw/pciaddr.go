// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package hw

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// PCIAddr is the address of one PCI function: domain, bus, device, function.
// The zero value is 0000:00:00.0, a host bridge on every PC and never a NIC.
type PCIAddr struct {
	// Domain is 32 bits wide: Intel VMD numbers its domains from 0x10000
	// (drivers/pci/controller/vmd.c).
	Domain   uint32
	Bus      uint8
	Device   uint8
	Function uint8
}

// ParsePCIAddr reads the form that sysfs uses, "0000:5f:00.1". Upper case digits
// are accepted; a short form without a domain is not, because it is ambiguous.
func ParsePCIAddr(s string) (PCIAddr, error) {
	bad := func(why string) (PCIAddr, error) {
		return PCIAddr{}, fmt.Errorf("PCI address %q: %s; it is written like 0000:5f:00.1", s, why)
	}
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return bad("three parts separated by ':' are needed")
	}
	dev, fn, ok := strings.Cut(parts[2], ".")
	if !ok {
		return bad("the function after '.' is missing")
	}
	fields := []struct {
		text         string
		least, most  int
		limit, value uint64
	}{
		{text: parts[0], least: 4, most: 8, limit: 0xffffffff},
		{text: parts[1], least: 2, most: 2, limit: 0xff},
		{text: dev, least: 2, most: 2, limit: 0x1f},
		{text: fn, least: 1, most: 1, limit: 7},
	}
	for i := range fields {
		f := &fields[i]
		v, err := strconv.ParseUint(f.text, 16, 32)
		if err != nil || len(f.text) < f.least || len(f.text) > f.most || v > f.limit {
			return bad(fmt.Sprintf("%q does not fit", f.text))
		}
		f.value = v
	}
	return PCIAddr{
		Domain: uint32(fields[0].value), Bus: uint8(fields[1].value),
		Device: uint8(fields[2].value), Function: uint8(fields[3].value),
	}, nil
}

// String is the form that sysfs uses.
func (a PCIAddr) String() string {
	return fmt.Sprintf("%04x:%02x:%02x.%d", a.Domain, a.Bus, a.Device, a.Function)
}

// IsZero reports whether the address was never set.
func (a PCIAddr) IsZero() bool { return a == PCIAddr{} }

// Compare orders addresses as the kernel enumerates them.
func (a PCIAddr) Compare(b PCIAddr) int {
	return cmp.Or(
		cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Bus, b.Bus),
		cmp.Compare(a.Device, b.Device), cmp.Compare(a.Function, b.Function),
	)
}

// Slot is the address without its function: the card, for cards whose functions
// share firmware.
func (a PCIAddr) Slot() PCIAddr {
	a.Function = 0
	return a
}

// Routed is the address n routing ids further on, which is how a PF's First VF
// Offset and VF Stride name its VFs (PCI Express base specification, section
// 9.3.3.9; drivers/pci/iov.c, pci_iov_virtfn_bus).
func (a PCIAddr) Routed(n int) PCIAddr {
	rid := int(a.Bus)<<8 | int(a.Device)<<3 | int(a.Function)
	rid += n
	return PCIAddr{Domain: a.Domain, Bus: uint8(rid >> 8), Device: uint8(rid>>3) & 0x1f, Function: uint8(rid) & 7}
}

// MarshalText makes the address a string in JSON and YAML.
func (a PCIAddr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is ParsePCIAddr.
func (a *PCIAddr) UnmarshalText(text []byte) error {
	v, err := ParsePCIAddr(string(text))
	if err != nil {
		return err
	}
	*a = v
	return nil
}
