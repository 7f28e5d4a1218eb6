// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// checkNodes warns about what the policy meets on the nodes: limits of the
// hardware and other policies for the same PFs.
func checkNodes(o *object, p *sriovv1.SriovNetworkNodePolicy, nics *match.Selector, f Facts) {
	options := nodestate.Options{NodeSelector: f.NodeSelector, Catalog: f.NICs}
	alone := nodestate.Compile([]sriovv1.SriovNetworkNodePolicy{*p}, options)
	together := nodestate.Compile(withPolicy(f.Policies, p), options)
	found := &findings{}
	var onNodes, onPFs int
	for i := range f.Nodes {
		n := &f.Nodes[i]
		trace := alone.Render(n.Node, n.Inventory, "").Trace
		switch what := trace.Policies[0]; what.Reason {
		case reason.NodeNotSelected, reason.NodeNotListed:
			continue
		default:
			onNodes++
			onPFs += what.SelectedPFs
		}
		checkPFs(found, p, nics, n, f)
		if len(trace.PFs) > 0 {
			checkOthers(found, p.Name, n.Name, together.With(n.Entries).Render(n.Node, n.Inventory, "").Trace)
		}
	}
	switch {
	case onNodes == 0:
		o.say(Warning, reason.NodeNotSelected, "spec.nodeSelector", "no node matches at present", "compare it with the labels of the nodes")
	case onPFs == 0:
		o.say(Warning, reason.NoPFMatches, "spec.nicSelector", "no PF of the selected nodes matches at present",
			"compare it with status.interfaces of the node states")
	}
	found.tell(o)
}

// withPolicy are the policies with p in the place of the one of its name.
func withPolicy(policies []sriovv1.SriovNetworkNodePolicy, p *sriovv1.SriovNetworkNodePolicy) []sriovv1.SriovNetworkNodePolicy {
	out := slices.DeleteFunc(slices.Clone(policies), func(other sriovv1.SriovNetworkNodePolicy) bool { return other.Name == p.Name })
	return append(out, *p)
}

// finding is a warning and how often it was found. In a large cluster the same is
// found on many nodes; it is told once.
type finding struct {
	Problem
	where  []string
	number int
}

// findings are warnings by what they say, in the order in which they were found.
type findings struct{ list []finding }

// shown is how many places are named.
const shown = 3

func (f *findings) add(p Problem, where string) {
	i := slices.IndexFunc(f.list, func(old finding) bool { return old.Problem == p })
	if i < 0 {
		i = len(f.list)
		f.list = append(f.list, finding{Problem: p})
	}
	old := &f.list[i]
	old.number++
	if len(old.where) < shown {
		old.where = append(old.where, where)
	}
}

func (f *findings) tell(o *object) {
	for _, found := range f.list {
		where := strings.Join(found.where, ", ")
		if more := found.number - len(found.where); more > 0 {
			where += fmt.Sprintf(" and %d more", more)
		}
		o.say(found.Severity, found.Reason, found.Field, found.Cause+" ("+where+")", found.Fix)
	}
}

// checkPFs warns about the PFs of one node that the policy selects.
func checkPFs(found *findings, p *sriovv1.SriovNetworkNodePolicy, nics *match.Selector, n *Node, f Facts) {
	for i := range n.Inventory.PFs {
		pf := &n.Inventory.PFs[i]
		if !nics.PF(pf) {
			continue
		}
		where := n.Name + " " + pfLabel(pf)
		for _, problem := range pfProblems(&p.Spec, pf, f) {
			found.add(problem, where)
		}
	}
}

func pfLabel(pf *hw.PF) string {
	if pf.Netdev == "" {
		return pf.Addr.String()
	}
	return pf.Netdev
}

// pfRule is one thing that may be wrong with a policy on a PF.
type pfRule struct {
	broken     bool
	reason     reason.Reason
	field      string
	cause, fix string
}

func pfProblems(s *sriovv1.SriovNetworkNodePolicySpec, pf *hw.PF, f Facts) []Problem {
	rules := alwaysRules(s, pf, f)
	switch {
	case pf.Virtual:
		rules = append(rules, virtualRules(s, pf, f)...)
	case s.ExternallyManaged:
		rules = append(rules, externalRules(s, pf)...)
	default:
		rules = append(rules, pfRule{
			s.NumVfs > pf.TotalVFs, reason.TotalVFsExceeded, "spec.numVfs",
			fmt.Sprintf("%d is more than the %d VFs that the hardware offers", s.NumVfs, pf.TotalVFs), "lower it, or raise the firmware's limit",
		})
	}
	var out []Problem
	for _, r := range rules {
		if r.broken {
			out = append(out, Problem{Severity: Warning, Reason: r.reason, Field: r.field, Cause: r.cause, Fix: r.fix})
		}
	}
	return out
}

func alwaysRules(s *sriovv1.SriovNetworkNodePolicySpec, pf *hw.PF, f Facts) []pfRule {
	link := hw.LinkType(strings.ToUpper(string(s.LinkType)))
	driver := f.NICs.Driver(pf.Driver)
	return []pfRule{
		{
			!s.AllowUnlistedNics && !f.NICs.Listed(pf.VendorID, pf.DeviceID) && !f.NICs.ListedVF(pf.VendorID, pf.DeviceID),
			reason.NotListed, "spec.nicSelector", fmt.Sprintf("the NIC %s %s is not in the list of supported NICs and is left alone", pf.VendorID, pf.DeviceID),
			"add it to the ConfigMap " + sriovv1.ConfigMapSupportedNICIDs + ", or set allowUnlistedNics",
		},
		{
			link != "" && pf.LinkType != "" && link != pf.LinkType, reason.LinkTypeDiffers, "spec.linkType",
			fmt.Sprintf("the port speaks %s at present, not %s", pf.LinkType, link), "change the port's type in the firmware, or linkType",
		},
		{
			s.VdpaType != "" && !driver.OrderAssumed && driver.VDPAModule == "", "", "spec.vdpaType",
			fmt.Sprintf("VFs of the driver %s are not known to become vDPA devices", pf.Driver), "remove it, or select other NICs",
		},
		{
			len(pf.InUseBy) > 0 && !s.AllowInUse && !s.ExternallyManaged, reason.HostTraffic, "spec.nicSelector",
			"the PF carries traffic of the host (" + strings.Join(pf.InUseBy, ", ") + "); steps that would interrupt it are refused",
			"choose another PF, or set allowInUse",
		},
	}
}

func virtualRules(s *sriovv1.SriovNetworkNodePolicySpec, pf *hw.PF, f Facts) []pfRule {
	return []pfRule{
		{
			s.NumVfs != 1, reason.VirtualCount, "spec.numVfs",
			fmt.Sprintf("%d counts as 1: in a virtual machine the VF is the device", s.NumVfs), "set it to 1",
		},
		{
			s.Mtu > 0, reason.VirtualMTU, "spec.mtu",
			"it has no effect: in a virtual machine the platform sets the MTU", "remove it",
		},
		{
			s.DeviceType == sriovv1.DeviceTypeVfioPci && f.NICs.Bifurcated(pf.VendorID), reason.VirtualUserspace, "spec.deviceType",
			"this NIC serves userspace with its kernel driver", "use netdevice",
		},
	}
}

func externalRules(s *sriovv1.SriovNetworkNodePolicySpec, pf *hw.PF) []pfRule {
	mtu, known := pf.MTU.Get()
	return []pfRule{
		{
			// The words are those that other software looks for.
			s.NumVfs > pf.NumVFs, reason.ExternalCountTooLow, "spec.numVfs",
			fmt.Sprintf("numVfs(%d) is higher than the virtual functions allocated for the PF externally value(%d)", s.NumVfs, pf.NumVFs),
			"raise the number of VFs where the PF is managed, or lower numVfs",
		},
		{
			known && s.Mtu > mtu, reason.ExternalMTUTooLow, "spec.mtu",
			fmt.Sprintf("%d is more than the MTU %d of the externally managed PF", s.Mtu, mtu), "raise it where the PF is managed, or lower mtu",
		},
	}
}

// checkOthers warns about what the policy loses to others on a node, and what
// others lose to it.
func checkOthers(found *findings, policy, node string, trace nodestate.Trace) {
	for _, pf := range trace.PFs {
		where := fmt.Sprintf("%s %s", node, pf.Label())
		for _, o := range pf.Outcomes {
			if o.Policy == policy && (o.Reason == reason.BadPolicy || o.Reason == reason.RangeUnreachable) {
				found.add(Problem{Severity: Warning, Reason: o.Reason, Field: "spec.nicSelector.pfNames", Cause: "left out: " + o.Detail}, where)
			}
		}
		for _, l := range pf.Losses {
			if problem, ok := overlap(l, policy); ok {
				found.add(problem, where)
			}
		}
	}
}

// overlap is the warning about a loss that a policy has part in; both sides are
// told, because who edits one policy rarely looks at the other.
func overlap(l nodestate.Loss, policy string) (Problem, bool) {
	p := Problem{Severity: Warning, Reason: l.Reason, Field: specField(l.Field), Fix: lossFix(l.Reason)}
	switch {
	case l.Reason == reason.RaisedByOther && l.Policy == policy:
		p.Cause = fmt.Sprintf("%s becomes %s, because policy %s asks for it", l.Value, l.Stands.Value, l.Stands.Policy)
	case l.Reason == reason.RaisedByOther && l.Stands.Policy == policy:
		p.Cause = fmt.Sprintf("%s raises that of policy %s from %s", l.Stands.Value, l.Policy, l.Value)
	case l.Policy == policy:
		p.Cause = fmt.Sprintf("%s %s loses to policy %s: %s", l.Field, l.Value, l.Stands.Policy, whoIsFirst(l))
	case l.Stands.Policy == policy:
		p.Cause = fmt.Sprintf("%s %s of policy %s loses to this policy: %s", l.Field, l.Value, l.Policy, whoIsFirst(l))
	}
	return p, p.Cause != ""
}

func lossFix(r reason.Reason) string {
	switch r {
	case reason.RaisedByOther:
		return ""
	case reason.GroupNeedsSwitchdev:
		return "give both policies eSwitchMode switchdev, or different PFs"
	default:
		return "change a priority, or give the policies VF ranges that do not overlap"
	}
}

func whoIsFirst(l nodestate.Loss) string {
	switch l.Reason {
	case reason.GroupNeedsSwitchdev:
		return fmt.Sprintf("it needs eSwitchMode switchdev, and %s decides on %s", l.Stands.Policy, l.Stands.Value)
	case reason.LostToName:
		return fmt.Sprintf("of equal priority %d, %s is processed after %s", l.Priority, l.Stands.Policy, l.Policy)
	case reason.LostToObject:
		return fmt.Sprintf("of equal priority %d, a policy object stands over an entry of a ConfigMap", l.Priority)
	default:
		return fmt.Sprintf("priority %d is before %d", l.Stands.Priority, l.Priority)
	}
}

// specField is where a policy asks for what was lost.
func specField(f nodestate.Field) string {
	if f == nodestate.FieldGroup {
		return "spec.nicSelector"
	}
	return "spec." + f.String()
}
