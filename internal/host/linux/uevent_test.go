// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

const ueventProperties = "ACTION=add\x00DEVPATH=/devices/pci0000:00/0000:00:03.0/0000:01:10.0\x00SUBSYSTEM=pci\x00SEQNUM=7\x00"

func ueventBytes() []byte {
	return []byte("add@/devices/pci0000:00/0000:00:03.0/0000:01:10.0\x00" + ueventProperties)
}

// udevBytes is a message as udev sends it: a header of 40 octets, then the
// properties.
func udevBytes(properties string) []byte {
	b := []byte("libudev\x00")
	b = binary.BigEndian.AppendUint32(b, 0xfeedcafe)
	b = binary.NativeEndian.AppendUint32(b, 40)
	b = binary.NativeEndian.AppendUint32(b, 40)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(properties)))
	b = append(b, make([]byte, 16)...)
	return append(b, properties...)
}

func TestAnEventIsBelievedOnlyFromItsSender(t *testing.T) {
	event := func(source host.EventSource) []host.Event {
		return []host.Event{{
			Source: source, Action: "add", Subsystem: "pci", Path: "devices/pci0000:00/0000:00:03.0/0000:01:10.0",
		}}
	}
	uevent, udev := ueventBytes(), udevBytes(ueventProperties)
	cut := udev[:len(udev)-1]
	tests := []struct {
		name string
		in   datagram
		want []host.Event
	}{
		{"the kernel's event", datagram{data: uevent, groups: groupKernel}, event(host.FromKernel)},
		{"udev's event", datagram{data: udev, port: 812, groups: groupUdev, root: true}, event(host.FromUdev)},
		{"a process that claims to be the kernel", datagram{data: uevent, port: 812, groups: groupKernel, root: true}, nil},
		{"a user who claims to be udev", datagram{data: udev, port: 812, groups: groupUdev}, nil},
		{"a message to this socket alone", datagram{data: udev, port: 812, root: true}, nil},
		{"the kernel's form from udev", datagram{data: uevent, port: 812, groups: groupUdev, root: true}, nil},
		{"udev's form from the kernel", datagram{data: udev, groups: groupKernel}, nil},
		{"a message that is cut", datagram{data: cut, port: 812, groups: groupUdev, root: true}, nil},
		{"an empty message", datagram{groups: groupKernel}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, readDatagram(tt.in)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALinksMessageIsAChangeOrARemoval(t *testing.T) {
	named := body(linkHeader(3), text(unix.IFLA_IFNAME, "eth0"))
	port := body(linkHeader(3), text(unix.IFLA_IFNAME, "eth0"))
	port[0] = unix.AF_BRIDGE
	tests := []struct {
		name string
		in   netlink.Message
		want string
	}{
		{"a new or changed netdev", message(unix.RTM_NEWLINK, named), "change"},
		{"a netdev that is gone", message(unix.RTM_DELLINK, named), "remove"},
		{"a netdev that left its bridge", message(unix.RTM_DELLINK, port), "change"},
		{"another message", message(unix.RTM_NEWROUTE, named), ""},
		{"a netdev without a name", message(unix.RTM_NEWLINK, linkHeader(3)), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseLinkChange(tt.in)
			if ok != (tt.want != "") || (ok && (got.action != tt.want || got.name != "eth0")) {
				t.Errorf("got %+v, %v; want %q", got, ok, tt.want)
			}
		})
	}
}

func FuzzUevent(f *testing.F) {
	f.Add(ueventBytes())
	f.Add(udevBytes(ueventProperties))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (host.Event, bool){parseUevent, parseUdev} {
			if e, ok := parse(b); ok && (e.Action == "" || e.Path == "" || strings.ContainsRune(e.Path, 0)) {
				t.Errorf("an event without action or device: %+v", e)
			}
		}
	})
}
