// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin

import (
	"slices"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// byResource puts the claims of one resource together, in the order in which the
// resources come first.
func byResource(claims []claim) [][]*claim {
	out := make([][]*claim, 0, len(claims))
	place := make(map[string]int, len(claims))
	for k := range claims {
		c := &claims[k]
		i, ok := place[c.spec.ResourceName]
		if !ok {
			i = len(out)
			place[c.spec.ResourceName] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], c)
	}
	return out
}

// resource is one resource of the configuration from its claims, highest priority
// first.
func resource(claims []*claim, m machine, r *Result) Resource {
	// The one that is processed last decides: of the highest priority, objects
	// before entries, the last name.
	last := claims[0]
	for _, c := range claims {
		if c.priority == last.priority && c.entry == last.entry {
			last = c
		}
	}
	for _, c := range claims {
		if c.spec.ExcludeTopology != last.spec.ExcludeTopology {
			r.Notes = append(r.Notes, Note{c.name, lostTopology(c, last)})
		}
	}
	markDrivers(claims)
	return Resource{
		Name: last.spec.ResourceName, ExcludeTopology: last.spec.ExcludeTopology,
		Selectors: merge(claims, m),
	}
}

func lostTopology(c, winner *claim) reason.Why {
	why := reason.LostToPriority
	switch {
	case c.priority != winner.priority:
	case c.entry != winner.entry:
		why = reason.LostToObject
	default:
		why = reason.LostToName
	}
	return reason.Because(why, "excludeTopology %t lost to %t of policy %s: it holds for the whole resource %s",
		c.spec.ExcludeTopology, winner.spec.ExcludeTopology, winner.name, winner.spec.ResourceName)
}

// markDrivers tells VFs for userspace from those of the kernel where one resource
// has both.
func markDrivers(claims []*claim) {
	userspace := func(c *claim) bool { return c.spec.DeviceType == sriovv1.DeviceTypeVfioPci }
	kernel := func(c *claim) bool { return !userspace(c) }
	if !slices.ContainsFunc(claims, userspace) || !slices.ContainsFunc(claims, kernel) {
		return
	}
	for _, c := range claims {
		if userspace(c) {
			c.selector.Drivers = []string{string(sriovv1.DeviceTypeVfioPci)}
		}
	}
}

// pool is a selector that serves several claims.
type pool struct {
	selector Selector
	covers   cover
}

// merge makes as few selectors of the claims as select the same devices with the
// same extras, highest priority first. Values are in the order in which policies are
// processed, lowest priority first, which is the existing operator's.
func merge(claims []*claim, m machine) Selectors {
	if len(claims) == 1 {
		return Selectors{claims[0].selector}
	}
	var pools []pool
	for _, c := range processingOrder(claims) {
		next := pool{selector: c.selector, covers: m.covers(&c.selector)}
		i := slices.IndexFunc(pools, func(p pool) bool { return fits(p, next, m) })
		if i < 0 {
			pools = append(pools, next)
			continue
		}
		pools[i] = pool{selector: pools[i].selector.union(&next.selector), covers: sum(pools[i].covers, next.covers)}
	}
	slices.Reverse(pools)
	out := make(Selectors, len(pools))
	for i := range pools {
		out[i] = pools[i].selector
	}
	return out
}

// fits reports whether one selector can serve both pools: it must select what they
// do together and nothing else.
func fits(a, b pool, m machine) bool {
	x, y := &a.selector, &b.selector
	if !x.sameFlags(y) {
		return false
	}
	// What is not known counts as a match, and a value that only one selector asks
	// for could take it from the other.
	if m.unsure && (len(x.Devices) == 0 != (len(y.Devices) == 0) || len(x.LinkTypes) == 0 != (len(y.LinkTypes) == 0)) {
		return false
	}
	u := x.union(y)
	return equal(m.covers(&u), sum(a.covers, b.covers))
}

// processingOrder is lowest priority first and, among equals, by name.
func processingOrder(claims []*claim) []*claim {
	out := slices.Clone(claims)
	slices.SortStableFunc(out, func(a, b *claim) int { return b.priority - a.priority })
	return out
}
