// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	routeNexthopID    = 30 // RTA_NH_ID
	nexthopHeader     = 8  // struct nhmsg
	nexthopGroupEntry = unix.SizeofNexthopGrp
)

// DefaultRoutes implements host.LinkReader.
func (links) DefaultRoutes(ctx context.Context) ([]int, error) {
	found := map[int]bool{}
	objects := map[uint32]bool{}
	// One dump tells the routes of all families.
	answer, err := ask(ctx, request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETROUTE, flags: netlink.Dump, header: make([]byte, unix.SizeofRtMsg),
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, m := range answer {
		r, err := parseDefault(m)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, index := range r.links {
			found[index] = true
		}
		if len(r.links) == 0 && r.nexthop != 0 {
			objects[r.nexthop] = true
		}
	}
	if len(objects) > 0 {
		if err := nexthops(ctx, objects, found); err != nil {
			return nil, err
		}
	}
	return sortedKeys(found), nil
}

// defaultRoute is where a default route leads: over netdevs, or to a nexthop
// object.
type defaultRoute struct {
	links   []int
	nexthop uint32
}

// parseDefault reads a route; one that is no IP default route of the main table
// to other machines leads nowhere.
func parseDefault(m netlink.Message) (defaultRoute, error) {
	b := m.Data
	if m.Header.Type != unix.RTM_NEWROUTE || len(b) < unix.SizeofRtMsg {
		return defaultRoute{}, nil
	}
	family, bits, table, kind := b[0], b[1], uint32(b[4]), b[7]
	flags := binary.NativeEndian.Uint32(b[8:])
	if family != unix.AF_INET && family != unix.AF_INET6 {
		return defaultRoute{}, nil
	}
	if bits != 0 || kind != unix.RTN_UNICAST || flags&unix.RTM_F_CLONED != 0 {
		return defaultRoute{}, nil
	}
	var r defaultRoute
	err := decode(b, unix.SizeofRtMsg, func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.RTA_TABLE:
			table = a.Uint32()
		case unix.RTA_OIF:
			r.links = append(r.links, int(a.Uint32()))
		case unix.RTA_MULTIPATH:
			r.links = append(r.links, multipath(a.Bytes())...)
		case routeNexthopID:
			r.nexthop = a.Uint32()
		}
	})
	if err != nil || table != unix.RT_TABLE_MAIN {
		return defaultRoute{}, err
	}
	return r, nil
}

// multipath reads a run of struct rtnexthop.
func multipath(b []byte) []int {
	var out []int
	for len(b) >= unix.SizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			break
		}
		out = append(out, int(int32(binary.NativeEndian.Uint32(b[4:]))))
		b = b[min((n+3)&^3, len(b)):] // each begins at a multiple of four octets
	}
	return out
}

// nexthops adds the netdevs of nexthop objects. The kernel names those beside the
// object by default, but not with the sysctl net.ipv4.nexthop_compat_mode off.
func nexthops(ctx context.Context, wanted map[uint32]bool, found map[int]bool) error {
	answer, err := ask(ctx, request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETNEXTHOP, flags: netlink.Dump,
		header: make([]byte, nexthopHeader),
	})
	if err != nil {
		return fmt.Errorf("list nexthops: %w", err)
	}
	device := map[uint32]int{}
	for _, m := range answer {
		n, err := parseNexthop(m)
		if err != nil {
			return fmt.Errorf("list nexthops: %w", err)
		}
		device[n.id] = n.link
		if wanted[n.id] {
			for _, member := range n.members {
				wanted[member] = true
			}
		}
	}
	for id := range wanted {
		if device[id] != 0 {
			found[device[id]] = true
		}
	}
	return nil
}

// nexthop is one nexthop object: a netdev, or a group of others.
type nexthop struct {
	id      uint32
	link    int
	members []uint32
}

func parseNexthop(m netlink.Message) (nexthop, error) {
	var n nexthop
	if m.Header.Type != unix.RTM_NEWNEXTHOP {
		return n, nil
	}
	err := decode(m.Data, nexthopHeader, func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.NHA_ID:
			n.id = a.Uint32()
		case unix.NHA_OIF:
			n.link = int(a.Uint32())
		case unix.NHA_GROUP:
			for entry := range slices.Chunk(a.Bytes(), nexthopGroupEntry) {
				if len(entry) == nexthopGroupEntry {
					n.members = append(n.members, binary.NativeEndian.Uint32(entry))
				}
			}
		}
	})
	return n, err
}

func sortedKeys(set map[int]bool) []int {
	out := make([]int, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
