// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// The multicast groups of NETLINK_KOBJECT_UEVENT, as bits.
const (
	groupKernel = 1 << 0
	groupUdev   = 1 << 1
)

// parseUevent reads a message of the kernel: "add@/devices/…", then properties,
// each ended by a zero (lib/kobject_uevent.c). ok is false for anything else.
func parseUevent(b []byte) (e host.Event, ok bool) {
	header, rest, found := bytes.Cut(b, []byte{0})
	if !found || !bytes.Contains(header, []byte("@/")) {
		return host.Event{}, false
	}
	return eventOf(host.FromKernel, rest)
}

// parseUdev reads a message of udev: a header that begins with "libudev", a magic
// number in network byte order, and in the machine's byte order the header's
// size, where the properties begin and how long they are
// (systemd, src/libsystemd/sd-device/device-monitor.c). ok is false for anything
// else.
func parseUdev(b []byte) (e host.Event, ok bool) {
	const (
		prefix = "libudev\x00"
		magic  = 0xfeedcafe
		least  = 24
	)
	if len(b) < least || string(b[:len(prefix)]) != prefix || binary.BigEndian.Uint32(b[8:]) != magic {
		return host.Event{}, false
	}
	begin := uint64(binary.NativeEndian.Uint32(b[16:]))
	end := begin + uint64(binary.NativeEndian.Uint32(b[20:]))
	if begin < least || end > uint64(len(b)) {
		return host.Event{}, false
	}
	return eventOf(host.FromUdev, b[begin:end])
}

// eventOf reads properties, "KEY=value" each ended by a zero. An event without an
// action or a device is none.
func eventOf(source host.EventSource, properties []byte) (host.Event, bool) {
	e := host.Event{Source: source}
	for p := range bytes.SplitSeq(properties, []byte{0}) {
		key, value, _ := strings.Cut(string(p), "=")
		switch key {
		case "ACTION":
			e.Action = value
		case "SUBSYSTEM":
			e.Subsystem = value
		case "DEVPATH":
			e.Path = strings.TrimPrefix(value, "/")
		}
	}
	return e, e.Action != "" && e.Path != ""
}

// linkChange is what a message of RTNLGRP_LINK says.
type linkChange struct {
	action string
	name   string
}

// parseLinkChange reads RTM_NEWLINK and RTM_DELLINK. A bridge tells of its ports
// with the same messages and the family AF_BRIDGE; the netdev itself then stays.
func parseLinkChange(m netlink.Message) (linkChange, bool) {
	change := linkChange{action: "change"}
	err := decode(m.Data, unix.SizeofIfInfomsg, func(a *netlink.AttributeDecoder) {
		if a.Type() == unix.IFLA_IFNAME {
			change.name = a.String()
		}
	})
	if err != nil || change.name == "" {
		return linkChange{}, false
	}
	switch uint16(m.Header.Type) {
	case unix.RTM_NEWLINK:
		return change, true
	case unix.RTM_DELLINK:
		if m.Data[0] != unix.AF_BRIDGE {
			change.action = "remove"
		}
		return change, true
	}
	return linkChange{}, false
}
