// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"strings"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// Accel is the way in which the guest's instructions are executed.
type Accel string

// The ways. AccelTCG emulates and works everywhere.
const (
	AccelTCG Accel = "tcg"
	AccelKVM Accel = "kvm"
)

// Hardware is the machine that a guest sees. A snapshot can only be restored on
// the hardware that it was saved on.
type Hardware struct {
	Accel     Accel
	CPUs      int
	MemoryMiB int
	Cards     int // igb cards, each behind a root port of its own: bus 01, 02, ...
	Ports     int // functions with a port on each card, 1 to 8
}

// DefaultHardware returns two cards with two ports each: 0000:01:00.0,
// 0000:01:00.1, 0000:02:00.0 and 0000:02:00.1, all on one segment.
func DefaultHardware(accel Accel) Hardware {
	return Hardware{Accel: accel, CPUs: 2, MemoryMiB: 1024, Cards: 2, Ports: 2}
}

// MAC returns the hardware address of a port; card and port count from 0.
func MAC(card, port int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", (card+1)<<4, port) }

// Drives are the files behind the guest's disks.
type Drives struct {
	Root     string // qcow2
	Exchange string // raw, of protocol.ExchangeBytes
}

// Network is what the guest's management NIC reaches. The zero value reaches nothing.
type Network struct {
	// Relay is the command, with its arguments, that QEMU starts for each
	// connection to ForwardAddress. None forwards nothing.
	Relay []string
}

// ForwardAddress is the address under which a guest reaches the forwarded
// address of its host; it also knows it as host.vm.
const ForwardAddress = "10.0.2.100:6443"

// Fingerprint returns a text that differs when the guest's hardware does.
func (h Hardware) Fingerprint() string {
	return strings.Join(h.args(Drives{}, Network{}), " ")
}

// args returns QEMU's arguments for the hardware; PCI addresses are explicit so
// that they do not depend on the order of arguments.
func (h Hardware) args(d Drives, n Network) []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35,kernel-irqchip=split",
		"-smp", fmt.Sprint(h.CPUs), "-m", fmt.Sprint(h.MemoryMiB),
		"-action", "reboot=shutdown,shutdown=poweroff,panic=pause",
	}
	switch h.Accel {
	case AccelTCG:
		args = append(args, "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max")
	case AccelKVM:
		args = append(args, "-accel", "kvm", "-cpu", "host")
	}
	args = append(args,
		// The IOMMU has to come before the devices behind it.
		"-device", "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on",
		"-device", "pvpanic-pci,addr=0x2",
		"-device", "vmgenid,guid=auto",
		"-device", "virtio-rng-pci,addr=0x3",
		"-device", "virtio-serial-pci,id=serial,addr=0x4",
		"-device", "virtserialport,bus=serial.0,nr=1,chardev=agent,name="+protocol.PortName,
		"-drive", "if=none,id=root,format=qcow2,cache=unsafe,discard=unmap,file="+escape(d.Root),
		"-device", "virtio-blk-pci,drive=root,addr=0x5,bootindex=1",
		"-drive", "if=none,id=exchange,format=raw,cache=unsafe,file.locking=off,file="+escape(d.Exchange),
		"-device", "virtio-blk-pci,drive=exchange,addr=0x6,serial="+protocol.ExchangeSerial,
		"-netdev", n.netdev(),
		"-device", "virtio-net-pci,netdev=management,addr=0x7,mac=52:54:00:00:00:01,romfile=",
	)
	for card := range h.Cards {
		args = append(args, h.cardArgs(card)...)
	}
	return args
}

func (h Hardware) cardArgs(card int) []string {
	args := []string{"-device", fmt.Sprintf("pcie-root-port,id=card%d,bus=pcie.0,addr=%#x,chassis=%d,slot=%d", card, 0x10+card, card+1, card+1)}
	for port := range h.Ports {
		id := fmt.Sprintf("card%dport%d", card, port)
		device := fmt.Sprintf("igb,id=%s,bus=card%d,addr=0.%d,netdev=net%s,mac=%s", id, card, port, id, MAC(card, port))
		if port == 0 {
			device += ",multifunction=on"
		}
		// ARI's next function is 0 by default, which hides the ports behind it.
		if port < h.Ports-1 {
			device += ",x-pcie-ari-nextfn-1=on"
		}
		args = append(args, "-netdev", fmt.Sprintf("hubport,id=net%s,hubid=1", id), "-device", device)
	}
	return args
}

func (n Network) netdev() string {
	netdev := "user,id=management,restrict=on"
	if len(n.Relay) > 0 {
		netdev += ",guestfwd=tcp:" + ForwardAddress + "-cmd:" + escape(strings.Join(n.Relay, " "))
	}
	return netdev
}

// escape doubles commas, which separate the parts of QEMU's arguments.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }
