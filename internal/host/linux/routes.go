// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
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
	// One dump tells the routes of all families.
	answer, err := ask(ctx, request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETROUTE, flags: netlink.Dump, header: make([]byte, unix.SizeofRtMsg),
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var legs []leg
	for _, m := range answer {
		r, err := parseRoute(m)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		if r.isDefault() {
			legs = append(legs, r.leg)
		}
	}
	return over(ctx, legs)
}

// over are the netdevs that routes lead over.
func over(ctx context.Context, legs []leg) ([]int, error) {
	found := map[int]bool{}
	objects := map[uint32]bool{}
	for _, l := range legs {
		for _, index := range l.links {
			found[index] = true
		}
		if len(l.links) == 0 && l.nexthop != 0 {
			objects[l.nexthop] = true
		}
	}
	if len(objects) > 0 {
		if err := nexthops(ctx, objects, found); err != nil {
			return nil, err
		}
	}
	return sortedKeys(found), nil
}

// RouteTo implements host.LinkReader. The kernel's answer is the entry of the
// table that fits (RTM_F_FIB_MATCH), because that names every netdev of a route
// over several, and the holder of an own address instead of lo.
func (links) RouteTo(ctx context.Context, addr netip.Addr) ([]int, error) {
	addr = addr.Unmap().WithZone("")
	header := make([]byte, unix.SizeofRtMsg)
	header[0], header[1] = unix.AF_INET, byte(addr.BitLen())
	if addr.Is6() {
		header[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(header[8:], unix.RTM_F_FIB_MATCH)
	attrs := netlink.NewAttributeEncoder()
	attrs.Bytes(unix.RTA_DST, addr.AsSlice())
	answer, err := ask(ctx, request{protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETROUTE, header: header, attrs: attrs})
	if leadsNowhere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the route to %s: %w", addr, err)
	}
	var legs []leg
	for _, m := range answer {
		l, err := parseRoute(m)
		if err != nil {
			return nil, fmt.Errorf("find the route to %s: %w", addr, err)
		}
		legs = append(legs, l.leg)
	}
	return over(ctx, legs)
}

// leadsNowhere reports whether the kernel answered that no route leads to an
// address, or one that refuses (fib_props in net/ipv4/fib_semantics.c,
// ip6_rt_type_to_error in net/ipv6/route.c).
func leadsNowhere(err error) bool {
	return errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) ||
		errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL)
}

// leg is where a route leads: over netdevs, or to a nexthop object.
type leg struct {
	links   []int
	nexthop uint32
}

// route is what the kernel tells of a route.
type route struct {
	leg
	family, bits, kind byte
	table              uint32
	cloned             bool
}

// isDefault reports whether it is an IP default route of the main table to other
// machines.
func (r route) isDefault() bool {
	ip := r.family == unix.AF_INET || r.family == unix.AF_INET6
	return ip && r.bits == 0 && r.kind == unix.RTN_UNICAST && !r.cloned && r.table == unix.RT_TABLE_MAIN
}

// parseRoute reads a route; what is none is of no family and leads nowhere.
func parseRoute(m netlink.Message) (route, error) {
	b := m.Data
	if m.Header.Type != unix.RTM_NEWROUTE || len(b) < unix.SizeofRtMsg {
		return route{}, nil
	}
	r := route{family: b[0], bits: b[1], table: uint32(b[4]), kind: b[7]}
	r.cloned = binary.NativeEndian.Uint32(b[8:])&unix.RTM_F_CLONED != 0
	if r.family != unix.AF_INET && r.family != unix.AF_INET6 {
		return r, nil // the attributes of others mean something else
	}
	err := decode(b, unix.SizeofRtMsg, func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.RTA_TABLE:
			r.table = a.Uint32()
		case unix.RTA_OIF:
			r.links = append(r.links, int(a.Uint32()))
		case unix.RTA_MULTIPATH:
			r.links = append(r.links, multipath(a.Bytes())...)
		case routeNexthopID:
			r.nexthop = a.Uint32()
		}
	})
	return r, err
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
