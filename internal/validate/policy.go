// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"fmt"
	"slices"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// Policy checks a policy in itself, and against the nodes and the other policies.
func Policy(p *sriovv1.SriovNetworkNodePolicy, f Facts) []Problem {
	o := &object{kind: sriovv1.KindSriovNetworkNodePolicy, meta: &p.ObjectMeta}
	if f.Namespace != "" && p.Namespace != f.Namespace {
		o.warn("metadata.namespace", fmt.Sprintf("only policies in the namespace %s count", f.Namespace), "create it there")
	}
	if p.Name == sriovv1.DefaultPolicyName {
		o.say(Warning, reason.DeprecatedDefault, "metadata.name", "a policy named default is always skipped", "give it another name")
		return o.sorted()
	}
	for _, problem := range nodestate.Check(p) {
		o.say(Error, problem.Reason, "spec."+problem.Field, problem.Cause, problem.Fix)
	}
	nics, bad := match.NewSelector(p.Spec.NicSelector)
	if len(bad) == 0 && nics.Empty() {
		o.say(Error, reason.EmptySelector, "spec.nicSelector", "it is empty and so selects nothing",
			"set vendor, deviceID, rootDevices, pfNames or netFilter")
	}
	checkAlone(o, &p.Spec)
	checkListed(o, &p.Spec, f)
	if slices.ContainsFunc(o.problems, func(p Problem) bool { return p.Severity == Error }) {
		return o.sorted()
	}
	checkResource(o, p, f.Policies)
	if len(f.Nodes) > 0 {
		checkNodes(o, p, &nics, f)
	}
	return o.sorted()
}

// checkAlone warns about what needs nothing but the policy.
func checkAlone(o *object, s *sriovv1.SriovNetworkNodePolicySpec) {
	for _, problem := range match.BadRootDevices(s.NicSelector) {
		o.say(Warning, problem.Reason, "spec."+problem.Field, problem.Cause, problem.Fix)
	}
	if s.NumVfs == 0 {
		o.say(Warning, reason.NoVFsAsked, "spec.numVfs", "a policy that asks for 0 VFs adds nothing", "set it, or delete the policy")
	}
	if s.NicSelector.NetFilter != "" {
		checkNetFilter(o, s)
	}
}

// checkNetFilter warns about what a selector of networks has no effect with: it
// is for virtual deployments, where the platform decides.
func checkNetFilter(o *object, s *sriovv1.SriovNetworkNodePolicySpec) {
	const field = "spec.nicSelector.netFilter"
	if _, ok := match.ParseNetFilter(s.NicSelector.NetFilter); !ok {
		o.warn(field, fmt.Sprintf("%q has no key and value and so selects nothing", s.NicSelector.NetFilter),
			"write it like openstack/NetworkID:<uuid>")
	}
	n := s.NicSelector
	if n.Vendor != "" || n.DeviceID != "" || len(n.PfNames) > 0 || len(n.RootDevices) > 0 {
		o.warn(field, "the other fields of nicSelector must match as well", "remove them, if the network alone shall decide")
	}
	if s.EswitchMode != "" || s.Bridge.OVS != nil {
		o.warn(field, "a NIC of a virtual deployment has no eSwitch to change", "remove eSwitchMode and bridge")
	}
	if s.LinkType != "" && s.LinkType != "eth" && s.LinkType != sriovv1.LinkTypeETH {
		o.warn(field, "the platform decides on the link type", "remove linkType")
	}
}

// checkListed warns about a selector of NICs that are not in the list.
func checkListed(o *object, s *sriovv1.SriovNetworkNodePolicySpec, f Facts) {
	vendor, errVendor := hw.ParseID(s.NicSelector.Vendor)
	device, errDevice := hw.ParseID(s.NicSelector.DeviceID)
	if len(f.NICs.NICs()) == 0 || s.AllowUnlistedNics {
		return
	}
	const fix = "add \"vendor device vfDevice\" to the ConfigMap " + sriovv1.ConfigMapSupportedNICIDs + ", or set allowUnlistedNics"
	listed := func(n hw.ID) bool { return f.NICs.Listed(n, device) || f.NICs.ListedVF(n, device) }
	switch {
	case errVendor == nil && !f.NICs.ListedVendor(vendor):
		o.say(Warning, reason.NotListed, "spec.nicSelector.vendor", fmt.Sprintf("no NIC of the vendor %s is in the list of supported NICs", vendor), fix)
	case errVendor == nil && errDevice == nil && !listed(vendor):
		o.say(Warning, reason.NotListed, "spec.nicSelector.deviceID", fmt.Sprintf("%s %s is not in the list of supported NICs", vendor, device), fix)
	case errVendor != nil && errDevice == nil && !slices.ContainsFunc(f.NICs.Vendors(), listed):
		o.say(Warning, reason.NotListed, "spec.nicSelector.deviceID", fmt.Sprintf("no vendor's device %s is in the list of supported NICs", device), fix)
	}
}

// checkResource warns about policies that disagree on the resource they share.
func checkResource(o *object, p *sriovv1.SriovNetworkNodePolicy, others []sriovv1.SriovNetworkNodePolicy) {
	for _, other := range byName(others) {
		if other.Name == p.Name || other.Name == sriovv1.DefaultPolicyName || other.Spec.ResourceName != p.Spec.ResourceName {
			continue
		}
		if other.Spec.ExcludeTopology != p.Spec.ExcludeTopology {
			// The words are those that other software looks for.
			o.warn("spec.excludeTopology", fmt.Sprintf(
				"excludeTopology[%t] field conflicts with policy [%s].ExcludeTopology[%t] as they target the same resource[%s]",
				p.Spec.ExcludeTopology, other.Name, other.Spec.ExcludeTopology, p.Spec.ResourceName),
				"set it alike in both, or give the resources different names")
		}
	}
}

// byName are the policies in the order of their names.
func byName(policies []sriovv1.SriovNetworkNodePolicy) []*sriovv1.SriovNetworkNodePolicy {
	out := make([]*sriovv1.SriovNetworkNodePolicy, len(policies))
	for i := range policies {
		out[i] = &policies[i]
	}
	slices.SortStableFunc(out, func(a, b *sriovv1.SriovNetworkNodePolicy) int { return compare(a.Name, b.Name) })
	return out
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
