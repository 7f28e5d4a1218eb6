// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"

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

	// fewVFsSpace holds an answer with some 100 VFs, manyVFsSpace every one whose
	// list of VFs fits its attribute of 64 KiB.
	fewVFsSpace  = 16 << 10
	manyVFsSpace = 128 << 10
)

// links is host.LinkReader.
type links struct{}

// Links implements host.LinkReader. It never asks for VFs: in a dump all that is
// said of one netdev must fit one message, and many VFs do not.
func (links) Links(ctx context.Context) ([]host.Link, error) {
	answer, err := ask(ctx, request{
		protocol: unix.NETLINK_ROUTE,
		kind:     unix.RTM_GETLINK,
		flags:    unix.NLM_F_DUMP,
		body:     linkHeader(0).addU32(unix.IFLA_EXT_MASK, extSkipStats),
	})
	if err != nil {
		return nil, fmt.Errorf("list netdevs: %w", err)
	}
	out := make([]host.Link, 0, len(answer))
	for _, m := range answer {
		if m.kind != unix.RTM_NEWLINK {
			continue
		}
		link, err := parseLink(m.body)
		if err != nil {
			return nil, fmt.Errorf("list netdevs: %w", err)
		}
		out = append(out, link)
	}
	slices.SortFunc(out, func(a, b host.Link) int { return cmp.Compare(a.Index, b.Index) })
	return out, nil
}

// linkHeader is struct ifinfomsg for one netdev, or for all when index is zero.
func linkHeader(index int) payload {
	b := make(payload, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}

// parseLink reads the body of an RTM_NEWLINK.
func parseLink(b []byte) (host.Link, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return host.Link{}, errMalformed
	}
	attrs, err := splitAttrs(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return host.Link{}, err
	}
	link := host.Link{
		Encap:   encap(binary.NativeEndian.Uint16(b[2:])),
		Index:   int(int32(binary.NativeEndian.Uint32(b[4:]))),
		AdminUp: binary.NativeEndian.Uint32(b[8:])&unix.IFF_UP != 0,
	}
	for _, a := range attrs {
		switch a.kind {
		case unix.IFLA_IFNAME:
			link.Name = a.text()
		case unix.IFLA_MTU:
			link.MTU = int(a.u32())
		case unix.IFLA_MAX_MTU:
			link.MaxMTU = int(a.u32())
		case unix.IFLA_ADDRESS:
			link.MAC = macOf(a.value)
		case unix.IFLA_PERM_ADDRESS:
			link.PermMAC = macOf(a.value)
		case unix.IFLA_MASTER:
			link.Master = int(a.u32())
		case unix.IFLA_LINK:
			link.Parent = int(a.u32())
		case unix.IFLA_LINKINFO:
			link.Kind = kindOf(a.value)
		case unix.IFLA_PROP_LIST:
			link.AltNames = altNames(a.value)
		}
	}
	// With IFLA_LINK_NETNSID the index is one of another network namespace, and a
	// pair's other end is no parent.
	if _, elsewhere := find(attrs, unix.IFLA_LINK_NETNSID); elsewhere || link.Kind == "veth" || link.Kind == "netkit" {
		link.Parent = 0
	}
	return link, nil
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

func kindOf(info []byte) string {
	attrs, _ := splitAttrs(info)
	kind, _ := find(attrs, unix.IFLA_INFO_KIND)
	return attr{value: kind}.text()
}

func altNames(list []byte) []string {
	attrs, _ := splitAttrs(list)
	var names []string
	for _, a := range attrs {
		if a.kind == unix.IFLA_ALT_IFNAME {
			names = append(names, a.text())
		}
	}
	slices.Sort(names)
	return names
}

// VFs implements host.LinkReader.
func (links) VFs(ctx context.Context, pfIndex int) ([]host.VFLink, error) {
	question := request{
		protocol: unix.NETLINK_ROUTE,
		kind:     unix.RTM_GETLINK,
		// Without the counters twice as many VFs fit, and the driver need not
		// ask its firmware for them.
		body:  linkHeader(pfIndex).addU32(unix.IFLA_EXT_MASK, extVF|extSkipStats),
		space: fewVFsSpace,
	}
	answer, err := ask(ctx, question)
	if errors.Is(err, errTooLarge) {
		question.space = manyVFsSpace
		answer, err = ask(ctx, question)
	}
	attempt := fmt.Sprintf("read VFs of link %d", pfIndex)
	if errors.Is(err, errTooLarge) || errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		return nil, fmt.Errorf("%s: %w: %w", attempt, host.ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", attempt, err)
	}
	for _, m := range answer {
		if m.kind == unix.RTM_NEWLINK {
			vfs, err := parseVFs(m.body)
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
	if len(b) < unix.SizeofIfInfomsg {
		return nil, errMalformed
	}
	attrs, err := splitAttrs(b[unix.SizeofIfInfomsg:])
	overlong := len(b) > 0xffff
	if err != nil && !overlong {
		return nil, err
	}
	count, _ := find(attrs, unix.IFLA_NUM_VF)
	want := int(attr{value: count}.u32())
	if want == 0 {
		return nil, nil
	}
	list, ok := find(attrs, unix.IFLA_VFINFO_LIST)
	if !ok {
		return nil, fmt.Errorf("%w: the driver says nothing of its VFs", host.ErrUnsupported)
	}
	vfs, err := parseVFList(list, addressLength(attrs))
	if overlong && (err != nil || len(vfs) != want) {
		return nil, fmt.Errorf("%w: %d VFs do not fit one netlink attribute", host.ErrUnsupported, want)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(vfs, func(a, b host.VFLink) int { return cmp.Compare(a.Index, b.Index) })
	return vfs, nil
}

// addressLength is the number of octets in a link-layer address of the netdev,
// because a VF's always takes 32 octets of the message.
func addressLength(attrs []attr) int {
	address, _ := find(attrs, unix.IFLA_ADDRESS)
	if len(address) == 0 || len(address) > vfMACSize-4 {
		return 6
	}
	return len(address)
}

func parseVFList(list []byte, addressLen int) ([]host.VFLink, error) {
	elements, err := splitAttrs(list)
	if err != nil {
		return nil, err
	}
	var out []host.VFLink
	for _, e := range elements {
		if e.kind != vfInfo {
			continue
		}
		fields, err := splitAttrs(e.value)
		if err != nil {
			return nil, err
		}
		mac, ok := find(fields, vfInfoMAC)
		if !ok || len(mac) < vfMACSize {
			continue
		}
		out = append(out, host.VFLink{
			Index:    int(binary.NativeEndian.Uint32(mac)),
			AdminMAC: macOf(mac[4 : 4+addressLen]),
		})
	}
	return out, nil
}
