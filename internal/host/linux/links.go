// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// What include/uapi/linux/if_link.h and rtnetlink.h have and x/sys has not.
const (
	vfInfo         = 1 // IFLA_VF_INFO
	vfInfoMAC      = 1 // IFLA_VF_MAC, struct ifla_vf_mac
	vfInfoNodeGUID = 10
	vfInfoPortGUID = 11
	vfMACSize      = 4 + 32

	extVF        = 1 << 0 // RTEXT_FILTER_VF
	extSkipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS
)

// links is host.LinkReader.
type links struct{}

// Links implements host.LinkReader. It never asks for VFs: in a dump all that is
// said of one netdev must fit one message, and many VFs do not.
func (links) Links(ctx context.Context) ([]host.Link, error) {
	answer, err := getLinks(ctx, 0, netlink.Dump, extSkipStats)
	if err != nil {
		return nil, fmt.Errorf("list netdevs: %w", err)
	}
	out := make([]host.Link, 0, len(answer))
	for _, m := range answer {
		if m.Header.Type != unix.RTM_NEWLINK {
			continue
		}
		link, err := parseLink(m.Data)
		if err != nil {
			return nil, fmt.Errorf("list netdevs: %w", err)
		}
		out = append(out, link)
	}
	slices.SortFunc(out, func(a, b host.Link) int { return cmp.Compare(a.Index, b.Index) })
	return out, nil
}

// getLinks asks for one netdev, or in a dump for all with the index zero.
func getLinks(ctx context.Context, index int, flags netlink.HeaderFlags, mask uint32) ([]netlink.Message, error) {
	attrs := netlink.NewAttributeEncoder()
	attrs.Uint32(unix.IFLA_EXT_MASK, mask)
	return ask(ctx, request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETLINK, flags: flags, header: linkHeader(index), attrs: attrs,
	})
}

// linkHeader is struct ifinfomsg for one netdev, or for all when index is zero.
func linkHeader(index int) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}

// parseLink reads the body of an RTM_NEWLINK.
func parseLink(b []byte) (host.Link, error) {
	var link host.Link
	var parent, bus string
	elsewhere := false
	err := decode(b, unix.SizeofIfInfomsg, func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.IFLA_IFNAME:
			link.Name = a.String()
		case unix.IFLA_MTU:
			link.MTU = int(a.Uint32())
		case unix.IFLA_MAX_MTU:
			link.MaxMTU = int(a.Uint32())
		case unix.IFLA_ADDRESS:
			link.MAC = macOf(a.Bytes())
		case unix.IFLA_PERM_ADDRESS:
			link.PermMAC = macOf(a.Bytes())
		case unix.IFLA_MASTER:
			link.Master = int(a.Uint32())
		case unix.IFLA_LINK:
			link.Parent = int(a.Uint32())
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_PHYS_PORT_NAME:
			link.PortName = a.String()
		case unix.IFLA_PHYS_SWITCH_ID:
			link.SwitchID = hex.EncodeToString(a.Bytes())
		case unix.IFLA_PARENT_DEV_NAME:
			parent = a.String()
		case unix.IFLA_PARENT_DEV_BUS_NAME:
			bus = a.String()
		case unix.IFLA_LINKINFO:
			a.Nested(texts(unix.IFLA_INFO_KIND, func(kind string) { link.Kind = kind }))
		case unix.IFLA_PROP_LIST:
			a.Nested(texts(unix.IFLA_ALT_IFNAME, func(name string) { link.AltNames = append(link.AltNames, name) }))
		}
	})
	if err != nil {
		return host.Link{}, err
	}
	link.Encap = encap(binary.NativeEndian.Uint16(b[2:]))
	link.Index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	link.AdminUp = binary.NativeEndian.Uint32(b[8:])&unix.IFF_UP != 0
	slices.Sort(link.AltNames)
	if bus == "pci" {
		if link.Function, err = hw.ParsePCIAddr(parent); err != nil {
			return host.Link{}, err
		}
	}
	// With IFLA_LINK_NETNSID the index is one of another network namespace, and a
	// pair's other end is no parent.
	if elsewhere || link.Kind == "veth" || link.Kind == "netkit" {
		link.Parent = 0
	}
	return link, nil
}

// texts takes the attributes of one kind, which are strings, out of a nest.
func texts(kind uint16, take func(string)) func(*netlink.AttributeDecoder) error {
	return every(func(a *netlink.AttributeDecoder) {
		if a.Type() == kind {
			take(a.String())
		}
	})
}

// encap names an ARP hardware type as iproute2 does.
func encap(hardware uint16) string {
	switch hardware {
	case unix.ARPHRD_ETHER:
		return "ether"
	case unix.ARPHRD_INFINIBAND:
		return "infiniband"
	case unix.ARPHRD_LOOPBACK:
		return "loopback"
	case unix.ARPHRD_NONE:
		return "none"
	}
	return fmt.Sprintf("arphrd-%d", hardware)
}

// macOf is empty for an address of zeros, which is the kernel's way to say that
// the loopback has none and that a PF assigned none to a VF.
func macOf(b []byte) hw.MAC {
	if len(bytes.Trim(b, "\x00")) == 0 {
		return ""
	}
	return hw.MAC(net.HardwareAddr(b).String())
}

// VFs implements host.LinkReader.
func (links) VFs(ctx context.Context, pfIndex int) ([]host.VFLink, error) {
	// Without the counters twice as many VFs fit, and the driver need not ask its
	// firmware for them.
	answer, err := getLinks(ctx, pfIndex, 0, extVF|extSkipStats)
	attempt := fmt.Sprintf("read VFs of link %d", pfIndex)
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		return nil, fmt.Errorf("%s: %w: %w", attempt, host.ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", attempt, err)
	}
	for _, m := range answer {
		if m.Header.Type == unix.RTM_NEWLINK {
			vfs, err := parseVFs(m.Data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", attempt, err)
			}
			return vfs, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", attempt, errMalformed)
}

// parseVFs reads what an RTM_NEWLINK says of VFs. The kernel does not notice when
// the list outgrows the 16 bits of its length (nla_nest_end in
// include/net/netlink.h): the length is then too small, and the rest of the list
// stands where other attributes should. That is only possible in a message of
// more than 64 KiB, so a shorter one that lists fewer VFs than there are is
// honest: the driver had nothing to say of some.
func parseVFs(b []byte) ([]host.VFLink, error) {
	l, err := parseVFList(b)
	switch {
	case len(b) > 0xffff && (err != nil || len(l.vfs) != l.count):
		return nil, fmt.Errorf("%w: the VFs do not fit one netlink attribute", host.ErrUnsupported)
	case err != nil:
		return nil, err
	case l.count > 0 && !l.told:
		return nil, fmt.Errorf("%w: the driver says nothing of its VFs", host.ErrUnsupported)
	}
	slices.SortFunc(l.vfs, func(a, b host.VFLink) int { return cmp.Compare(a.Index, b.Index) })
	return l.vfs, nil
}

// vfList is the part of an RTM_NEWLINK that is about VFs.
type vfList struct {
	count int // how many there are
	told  bool
	vfs   []host.VFLink
}

// parseVFList leaves out what follows the list, because that may be the list's
// rest. The kernel puts the netdev's address and the number of VFs before it
// (net/core/rtnetlink.c, rtnl_fill_ifinfo and rtnl_fill_vf).
func parseVFList(b []byte) (vfList, error) {
	var l vfList
	addressLen := 6
	err := decode(b, unix.SizeofIfInfomsg, func(a *netlink.AttributeDecoder) {
		switch {
		case l.told:
		case a.Type() == unix.IFLA_ADDRESS:
			// A VF's address always takes 32 octets of the message.
			if n := len(a.Bytes()); n > 0 && n <= vfMACSize-4 {
				addressLen = n
			}
		case a.Type() == unix.IFLA_NUM_VF:
			l.count = int(a.Uint32())
		case a.Type() == unix.IFLA_VFINFO_LIST:
			l.told = true
			a.Nested(every(func(a *netlink.AttributeDecoder) {
				if a.Type() == vfInfo {
					a.Nested(every(func(a *netlink.AttributeDecoder) {
						if mac := a.Bytes(); a.Type() == vfInfoMAC && len(mac) >= vfMACSize {
							l.vfs = append(l.vfs, host.VFLink{
								Index:    int(binary.NativeEndian.Uint32(mac)),
								AdminMAC: macOf(mac[4 : 4+addressLen]),
							})
						}
					}))
				}
			}))
		}
	})
	return l, err
}
