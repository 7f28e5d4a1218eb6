// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// vfElement is what the kernel says of one VF without counters: the MAC and 92
// octets of other things.
func vfElement(index int, mac []byte) netlink.Attribute {
	value := make([]byte, vfMACSize)
	binary.NativeEndian.PutUint32(value, uint32(index))
	copy(value[4:], mac)
	return nest(vfInfo, netlink.Attribute{Type: vfInfoMAC, Data: value},
		netlink.Attribute{Type: 13, Data: make([]byte, 32)}, netlink.Attribute{Type: 2, Data: make([]byte, 52)})
}

// pfMessage is an RTM_NEWLINK of a PF.
func pfMessage(vfs int, elements ...netlink.Attribute) []byte {
	attrs := []netlink.Attribute{
		text(unix.IFLA_IFNAME, "eth0"),
		{Type: unix.IFLA_ADDRESS, Data: []byte{2, 0, 0, 0, 0, 9}},
		u32(unix.IFLA_NUM_VF, uint32(vfs)),
	}
	if len(elements) > 0 {
		attrs = append(attrs, nest(unix.IFLA_VFINFO_LIST, elements...), u8(unix.IFLA_OPERSTATE, 6))
	}
	return body(linkHeader(3), attrs...)
}

func manyVFs(n int) []netlink.Attribute {
	var out []netlink.Attribute
	for i := range n {
		out = append(out, vfElement(i, []byte{2, 0, 0, 1, byte(i >> 8), byte(i)}))
	}
	return out
}

func TestTheVFsOfAPF(t *testing.T) {
	ten := []byte{2, 0, 0, 0, 0, 10}
	tests := []struct {
		name string
		body []byte
		want []host.VFLink
	}{
		{"a PF without VFs has none", pfMessage(0), nil},
		{
			"a VF without an admin MAC has an empty one, and VFs are sorted",
			pfMessage(2, vfElement(1, ten), vfElement(0, nil)),
			[]host.VFLink{{Index: 0}, {Index: 1, AdminMAC: "02:00:00:00:00:0a"}},
		},
		{
			"a VF of which the driver had nothing to say is missing",
			pfMessage(2, vfElement(1, ten)),
			[]host.VFLink{{Index: 1, AdminMAC: "02:00:00:00:00:0a"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseVFs(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("VFs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMoreVFsThanAnAttributeHoldsAreUnsupported(t *testing.T) {
	for _, n := range []int{128, 256, 500, 512, 1000, 1024} {
		t.Run(fmt.Sprintf("%d VFs", n), func(t *testing.T) {
			body := pfMessage(n, manyVFs(n)...)
			got, err := parseVFs(body)
			if len(body) <= 0xffff {
				if err != nil || len(got) != n {
					t.Errorf("a message of %d octets: %d VFs, %v", len(body), len(got), err)
				}
				return
			}
			if !errors.Is(err, host.ErrUnsupported) {
				t.Errorf("a message of %d octets: %d VFs, %v; want ErrUnsupported", len(body), len(got), err)
			}
		})
	}
}

func TestAListCutBetweenTwoVFsIsUnsupported(t *testing.T) {
	// Elements of 64 octets divide 65,536, so what the wrapped length leaves of
	// the list ends between two of them.
	var elements []netlink.Attribute
	for i := range 1100 {
		value := make([]byte, vfMACSize)
		binary.NativeEndian.PutUint32(value, uint32(i))
		elements = append(elements, nest(vfInfo,
			netlink.Attribute{Type: vfInfoMAC, Data: value}, netlink.Attribute{Type: 9, Data: make([]byte, 16)}))
	}
	body := pfMessage(1100, elements...)
	if got, err := parseVFs(body); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("%d VFs, %v; want ErrUnsupported", len(got), err)
	}
}

func TestADriverThatSaysNothingOfItsVFsIsUnsupported(t *testing.T) {
	if got, err := parseVFs(pfMessage(4)); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("%v, %v; want ErrUnsupported", got, err)
	}
}

func TestALinkIsReadFromItsMessage(t *testing.T) {
	attrs := []netlink.Attribute{
		text(unix.IFLA_IFNAME, "ens1f0"),
		text(unix.IFLA_PHYS_PORT_NAME, "p0"),
		{Type: unix.IFLA_PHYS_SWITCH_ID, Data: []byte{0x08, 0xc0, 0xeb}},
		text(unix.IFLA_PARENT_DEV_NAME, "0000:5f:00.1"),
		text(unix.IFLA_PARENT_DEV_BUS_NAME, "pci"),
		u32(unix.IFLA_MTU, 9000),
		u32(unix.IFLA_MAX_MTU, 9216),
		u32(unix.IFLA_MASTER, 12),
		u32(unix.IFLA_LINK, 3),
		{Type: unix.IFLA_ADDRESS, Data: []byte{2, 0, 0, 0, 0, 1}},
		{Type: unix.IFLA_PERM_ADDRESS, Data: []byte{2, 0, 0, 0, 0, 2}},
		nest(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, text(unix.IFLA_INFO_KIND, "vlan")),
		nest(unix.IFLA_PROP_LIST|unix.NLA_F_NESTED, text(unix.IFLA_ALT_IFNAME, "enp2s0"), text(unix.IFLA_ALT_IFNAME, "enp1s0")),
	}
	header := linkHeader(7)
	binary.NativeEndian.PutUint16(header[2:], unix.ARPHRD_ETHER)
	binary.NativeEndian.PutUint32(header[8:], unix.IFF_UP|unix.IFF_BROADCAST)
	want := host.Link{
		Index: 7, Name: "ens1f0", AltNames: []string{"enp1s0", "enp2s0"},
		MAC: "02:00:00:00:00:01", PermMAC: "02:00:00:00:00:02", MTU: 9000, MaxMTU: 9216, AdminUp: true,
		Encap: "ether", Kind: "vlan", Master: 12, Parent: 3,
		Function: hw.PCIAddr{Bus: 0x5f, Function: 1}, PortName: "p0", SwitchID: "08c0eb",
	}
	got, err := parseLink(body(header, attrs...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("link (-want +got):\n%s", diff)
	}
	away, err := parseLink(body(header, append(attrs, u32(unix.IFLA_LINK_NETNSID, 0))...))
	if err != nil || away.Parent != 0 {
		t.Errorf("a parent in another network namespace: %d, %v", away.Parent, err)
	}
}

func TestANetdevOnAnotherBusStandsOnNoPCIFunction(t *testing.T) {
	got, err := parseLink(body(linkHeader(7), text(unix.IFLA_PARENT_DEV_NAME, "virtio0"), text(unix.IFLA_PARENT_DEV_BUS_NAME, "virtio")))
	if err != nil || !got.Function.IsZero() {
		t.Errorf("got %s, %v", got.Function, err)
	}
}

func TestAnInfiniBandAddressHasTwentyOctets(t *testing.T) {
	address := slices.Repeat([]byte{0xab}, 20)
	got, err := parseVFs(body(linkHeader(2), netlink.Attribute{Type: unix.IFLA_ADDRESS, Data: address},
		u32(unix.IFLA_NUM_VF, 1), nest(unix.IFLA_VFINFO_LIST, vfElement(0, address))))
	if err != nil || len(got) != 1 || got[0].AdminMAC != macOf(address) {
		t.Errorf("got %v, %v", got, err)
	}
	if mac, err := hw.ParseMAC(string(macOf(address))); err != nil {
		t.Errorf("%s: %v", mac, err)
	}
}
