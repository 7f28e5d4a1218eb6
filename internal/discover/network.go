// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// network is what the kernel says of all netdevs, read once.
type network struct {
	byIndex map[int]host.Link
	// above are the indices of the netdevs that stand directly on one.
	above map[int][]int
	// carry is what of the host's own traffic leaves over a netdev.
	carry map[int][]string
	// on are the netdevs that stand on a PCI function, by name.
	on map[hw.PCIAddr][]host.Link
}

func readNetwork(ctx context.Context, r host.Reader, lifelines []hw.Lifeline) (network, error) {
	links, err := r.Links.Links(ctx)
	if err != nil {
		return network{}, fmt.Errorf("list the netdevs: %w", err)
	}
	routes, err := r.Links.DefaultRoutes(ctx)
	if err != nil {
		return network{}, fmt.Errorf("read the default routes: %w", err)
	}
	n := network{
		byIndex: make(map[int]host.Link, len(links)),
		above:   map[int][]int{},
		carry:   map[int][]string{},
		on:      map[hw.PCIAddr][]host.Link{},
	}
	for _, l := range links {
		n.byIndex[l.Index] = l
		if !l.Function.IsZero() {
			n.on[l.Function] = append(n.on[l.Function], l)
		}
		if l.Master != 0 {
			n.above[l.Index] = append(n.above[l.Index], l.Master)
		}
		// A veth's parent is its other end, which is beside it and not below.
		if l.Parent != 0 && l.Kind != "veth" {
			n.above[l.Parent] = append(n.above[l.Parent], l.Index)
		}
	}
	for _, standing := range n.on {
		slices.SortFunc(standing, func(a, b host.Link) int { return strings.Compare(a.Name, b.Name) })
	}
	for _, index := range routes {
		n.carry[index] = append(n.carry[index], "default route")
	}
	for _, l := range lifelines {
		// An address of the loopback leads over no NIC, and a link-local one says
		// nothing without its link.
		if l.Addr.IsLoopback() || l.Addr.IsLinkLocalUnicast() {
			continue
		}
		over, err := r.Links.RouteTo(ctx, l.Addr)
		if err != nil {
			return network{}, fmt.Errorf("see what carries the %s: %w", l.Is, err)
		}
		for _, index := range over {
			n.carry[index] = append(n.carry[index], l.Is)
		}
	}
	return n, nil
}

// uses says what of the host's own network runs over a netdev, directly or
// through bonds, bridges and VLANs that stand on it. Sorted.
func (n network) uses(index int) []string {
	var out []string
	seen := map[int]bool{}
	var climb func(int)
	climb = func(i int) {
		if seen[i] {
			return // bonds of bridges of bonds are refused by the kernel; loops are not ours to trust
		}
		seen[i] = true
		link := n.byIndex[i]
		for _, what := range n.carry[i] {
			out = append(out, what+" via "+link.Name)
		}
		if i != index {
			if use := useOf(link); use != "" {
				out = append(out, use)
			}
		}
		for _, j := range n.above[i] {
			climb(j)
		}
	}
	climb(index)
	slices.Sort(out)
	return slices.Compact(out)
}

// useOf names a netdev that makes what is below it part of the host's network.
func useOf(l host.Link) string {
	switch l.Kind {
	case "bond", "team", "bridge":
		return l.Kind + " " + l.Name
	case "openvswitch":
		return "OVS bridge"
	}
	return ""
}
