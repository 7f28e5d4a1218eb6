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
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// vfElement is what the kernel says of one VF without counters: the MAC and 92
// octets of other things.
func vfElement(index int, mac []byte) payload {
	value := make([]byte, vfMACSize)
	binary.NativeEndian.PutUint32(value, uint32(index))
	copy(value[4:], mac)
	return payload{}.add(vfInfoMAC, value).add(13, make([]byte, 32)).add(2, make([]byte, 52))
}

// pfMessage is an RTM_NEWLINK of a PF. Like the kernel, it does not notice when
// the list of VFs outgrows its length.
func pfMessage(vfs int, elements ...payload) []byte {
	body := linkHeader(3).
		addText(unix.IFLA_IFNAME, "eth0").
		add(unix.IFLA_ADDRESS, []byte{2, 0, 0, 0, 0, 9}).
		addU32(unix.IFLA_NUM_VF, uint32(vfs))
	if len(elements) == 0 {
		return body
	}
	start := len(body)
	body = body.add(unix.IFLA_VFINFO_LIST, nil)
	for _, e := range elements {
		body = body.add(vfInfo, e)
	}
	binary.NativeEndian.PutUint16(body[start:], uint16(len(body)-start))
	return body.addU8(unix.IFLA_OPERSTATE, 6)
}

func manyVFs(n int) []payload {
	var out []payload
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
	var elements []payload
	for i := range 1100 {
		value := make([]byte, vfMACSize)
		binary.NativeEndian.PutUint32(value, uint32(i))
		elements = append(elements, payload{}.add(vfInfoMAC, value).add(9, make([]byte, 16)))
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
	body := linkHeader(7).
		addText(unix.IFLA_IFNAME, "ens1f0").
		addU32(unix.IFLA_MTU, 9000).
		addU32(unix.IFLA_MAX_MTU, 9216).
		addU32(unix.IFLA_MASTER, 12).
		addU32(unix.IFLA_LINK, 3).
		add(unix.IFLA_ADDRESS, []byte{2, 0, 0, 0, 0, 1}).
		add(unix.IFLA_PERM_ADDRESS, []byte{2, 0, 0, 0, 0, 2}).
		add(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, payload{}.addText(unix.IFLA_INFO_KIND, "vlan")).
		add(unix.IFLA_PROP_LIST|unix.NLA_F_NESTED,
			payload{}.addText(unix.IFLA_ALT_IFNAME, "enp2s0").addText(unix.IFLA_ALT_IFNAME, "enp1s0"))
	binary.NativeEndian.PutUint16(body[2:], unix.ARPHRD_ETHER)
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP|unix.IFF_BROADCAST)
	want := host.Link{
		Index: 7, Name: "ens1f0", AltNames: []string{"enp1s0", "enp2s0"},
		MAC: "02:00:00:00:00:01", PermMAC: "02:00:00:00:00:02", MTU: 9000, MaxMTU: 9216, AdminUp: true,
		Encap: "ether", Kind: "vlan", Master: 12, Parent: 3,
	}
	got, err := parseLink(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("link (-want +got):\n%s", diff)
	}
	away, err := parseLink(body.addU32(unix.IFLA_LINK_NETNSID, 0))
	if err != nil || away.Parent != 0 {
		t.Errorf("a parent in another network namespace: %d, %v", away.Parent, err)
	}
}

func TestAnInfiniBandAddressHasTwentyOctets(t *testing.T) {
	address := slices.Repeat([]byte{0xab}, 20)
	body := linkHeader(2).add(unix.IFLA_ADDRESS, address).addU32(unix.IFLA_NUM_VF, 1).
		add(unix.IFLA_VFINFO_LIST, payload{}.add(vfInfo, vfElement(0, address)))
	got, err := parseVFs(body)
	if err != nil || len(got) != 1 || got[0].AdminMAC != macOf(address) {
		t.Errorf("got %v, %v", got, err)
	}
	if mac, err := hw.ParseMAC(string(macOf(address))); err != nil {
		t.Errorf("%s: %v", mac, err)
	}
}
