// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// maxResourceName is the longest name that the kubelet takes.
const maxResourceName = 63

// Check is what is wrong with a policy in itself: what can never work, whatever
// nodes and NICs there are. A policy with such a problem is left out.
func Check(obj *sriovv1.SriovNetworkNodePolicy) []match.Problem {
	if obj.Name == sriovv1.DefaultPolicyName {
		return nil
	}
	nics, problems := match.NewSelector(obj.Spec.NicSelector)
	return append(problems, check(&obj.Spec, nics.Names())...)
}

// rule is one thing that a policy must not be.
type rule struct {
	broken     bool
	field      string
	cause, fix string
}

func check(spec *sriovv1.SriovNetworkNodePolicySpec, names []match.PFName) []match.Problem {
	var problems []match.Problem
	for _, rules := range [][]rule{valueRules(spec), combinationRules(spec)} {
		for _, r := range rules {
			if r.broken {
				problems = append(problems, match.Problem{Field: r.field, Reason: reason.BadPolicy, Cause: r.cause, Fix: r.fix})
			}
		}
	}
	for i, name := range names {
		if name.HasRange && name.Range.Last >= spec.NumVfs {
			problems = append(problems, match.Problem{
				Field: fmt.Sprintf("nicSelector.pfNames[%d]", i), Reason: reason.RangeUnreachable,
				Cause: fmt.Sprintf("%q ends past the last VF, which is %d with numVfs %d", name, spec.NumVfs-1, spec.NumVfs),
				Fix:   "raise numVfs or shorten the range",
			})
		}
	}
	return problems
}

// valueRules are about single fields.
func valueRules(spec *sriovv1.SriovNetworkNodePolicySpec) []rule {
	priority := sriovv1.DefaultPriority
	if spec.Priority != nil {
		priority = *spec.Priority
	}
	return []rule{
		{
			!resourceName(spec.ResourceName), "resourceName",
			fmt.Sprintf("%q is no resource name", spec.ResourceName),
			"use letters and digits, with '-' and '_' only in between, at most 63 characters and without a prefix",
		},
		{
			priority < sriovv1.HighestPriority || priority > sriovv1.DefaultPriority, "priority",
			fmt.Sprintf("%d is out of range", priority), "use 0, the highest, to 99, the lowest",
		},
		{spec.NumVfs < 0, "numVfs", fmt.Sprintf("%d is negative", spec.NumVfs), "use 0 or more"},
		{spec.Mtu < 0, "mtu", fmt.Sprintf("%d is negative", spec.Mtu), "use 1 or more, or leave it out"},
		{
			!oneOf(spec.DeviceType, "", sriovv1.DeviceTypeNetdevice, sriovv1.DeviceTypeVfioPci), "deviceType",
			fmt.Sprintf("%q is not known", spec.DeviceType), "use netdevice or vfio-pci",
		},
		{
			!oneOf(spec.EswitchMode, "", sriovv1.EswitchModeLegacy, sriovv1.EswitchModeSwitchdev), "eSwitchMode",
			fmt.Sprintf("%q is not known", spec.EswitchMode), "use legacy or switchdev",
		},
		{
			!oneOf(linkType(spec.LinkType), hw.LinkUnknown, hw.LinkEthernet, hw.LinkInfiniBand), "linkType",
			fmt.Sprintf("%q is not known", spec.LinkType), "use eth or ib",
		},
		{
			!oneOf(spec.VdpaType, "", sriovv1.VdpaTypeVirtio, sriovv1.VdpaTypeVhost), "vdpaType",
			fmt.Sprintf("%q is not known", spec.VdpaType), "use virtio or vhost",
		},
	}
}

// combinationRules are about fields that exclude each other.
func combinationRules(spec *sriovv1.SriovNetworkNodePolicySpec) []rule {
	vfio := spec.DeviceType == sriovv1.DeviceTypeVfioPci
	switchdev := spec.EswitchMode == sriovv1.EswitchModeSwitchdev
	bridge := spec.Bridge.OVS != nil
	return []rule{
		{
			vfio && spec.IsRdma, "isRdma",
			"a VF on vfio-pci has no RDMA device", "use deviceType netdevice, or set isRdma to false",
		},
		{
			switchdev && linkType(spec.LinkType) == hw.LinkInfiniBand, "eSwitchMode",
			"switchdev needs Ethernet links and linkType is ib", "remove eSwitchMode, or set linkType to eth",
		},
		{
			spec.VdpaType != "" && vfio, "vdpaType",
			"vDPA needs the VF's kernel driver and deviceType is vfio-pci", "set deviceType to netdevice, or remove vdpaType",
		},
		{
			spec.VdpaType != "" && !switchdev, "vdpaType",
			"vDPA needs eSwitchMode switchdev", "set it, or remove vdpaType",
		},
		{
			bridge && !switchdev, "bridge",
			"a bridge needs eSwitchMode switchdev", "set it, or remove bridge",
		},
		{
			bridge && spec.ExternallyManaged, "bridge",
			"a bridge cannot be managed on an externally managed PF", "remove bridge, or externallyManaged",
		},
	}
}

func oneOf[T comparable](v T, allowed ...T) bool {
	return slices.Contains(allowed, v)
}

// resourceName reports whether a name may be that of a resource: what follows
// the prefix in the name of a Kubernetes extended resource.
func resourceName(s string) bool {
	if s == "" || len(s) > maxResourceName {
		return false
	}
	inner := func(r rune) bool { return r == '-' || r == '_' }
	letter := func(r rune) bool {
		return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
	}
	stray := strings.ContainsFunc(s, func(r rune) bool { return !letter(r) && !inner(r) })
	return !stray && !inner(rune(s[0])) && !inner(rune(s[len(s)-1]))
}
