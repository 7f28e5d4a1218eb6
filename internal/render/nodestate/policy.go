// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Options are what is the same for every node.
type Options struct {
	// NodeSelector chooses the nodes that the daemon runs on. Empty is the
	// default: Linux nodes with the label for SR-IOV.
	NodeSelector map[string]string
	// Catalog is the list of supported NICs.
	Catalog catalog.Table
}

// Compiled is a set of policies, parsed and in the order of processing. It is
// never changed after Compile and may be used from several goroutines.
type Compiled struct {
	policies []policy
	nodes    match.Labels
	nics     catalog.Table
}

// Source is where a policy comes from. It decides between equal priorities: a
// policy object has the last word over an entry, however their names sort.
type Source uint8

// The sources.
const (
	// FromObject is a SriovNetworkNodePolicy.
	FromObject Source = iota
	// FromConfigMap is an entry of a ConfigMap.
	FromConfigMap
)

// String is the source as JSON spells it.
func (s Source) String() string {
	switch s {
	case FromObject:
		return "policy"
	case FromConfigMap:
		return "configmap"
	}
	return fmt.Sprintf("Source(%d)", uint8(s))
}

// MarshalText makes the source a word in JSON.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// policy is a policy, parsed.
type policy struct {
	name, namespace string
	source          Source
	priority        int
	nodes           match.Labels
	nics            match.Selector
	// out says why the policy counts nowhere; empty when it counts.
	out reason.Reason
	// problems are what is wrong with its fields.
	problems []match.Problem

	resource      string
	numVFs, mtu   int
	eswitch       hw.EswitchMode // empty when not set
	linkType      hw.LinkType
	external      bool
	allowInUse    bool
	allowUnlisted bool
	driver        desired.Driver
	rdma          bool
	vhostNet      bool
	vdpa          hw.VDPAType
	bridge        bool
}

// Compile parses policies. The result does not depend on their order. Policies
// have names that differ; whether they count by their namespace is for the
// caller to decide.
func Compile(policies []sriovv1.SriovNetworkNodePolicy, o Options) Compiled {
	selector := o.NodeSelector
	if len(selector) == 0 {
		selector = DefaultNodeSelector()
	}
	c := Compiled{
		policies: make([]policy, 0, len(policies)),
		nodes:    match.NewLabels(selector),
		nics:     o.Catalog,
	}
	for i := range policies {
		c.policies = append(c.policies, compile(&policies[i]))
	}
	slices.SortStableFunc(c.policies, inOrder)
	return c
}

// With is the same with entries of ConfigMaps beside the policies: those of the
// node that is rendered next. It changes nothing and may be called for many nodes.
func (c Compiled) With(entries []match.Entry) Compiled {
	if len(entries) == 0 {
		return c
	}
	all := make([]policy, 0, len(c.policies)+len(entries))
	all = append(all, c.policies...)
	for i := range entries {
		p := compile(&entries[i].Policy)
		p.source = FromConfigMap
		p.nics = p.nics.OfType(entries[i].Type)
		if p.out == reason.EmptySelector && !p.nics.Empty() {
			p.out = ""
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, inOrder)
	c.policies = all
	return c
}

// inOrder is the order of processing; the last one has the last word.
func inOrder(a, b policy) int {
	return cmp.Or(
		cmp.Compare(b.priority, a.priority),
		cmp.Compare(b.source, a.source),
		strings.Compare(a.name, b.name),
		strings.Compare(a.namespace, b.namespace),
	)
}

// DefaultNodeSelector chooses the nodes that the daemon runs on when the operator
// configuration chooses none.
func DefaultNodeSelector() map[string]string {
	return map[string]string{
		sriovv1.LabelOS:           sriovv1.LabelOSLinux,
		sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue,
	}
}

func compile(obj *sriovv1.SriovNetworkNodePolicy) policy {
	spec := &obj.Spec
	p := policy{
		name: obj.Name, namespace: obj.Namespace,
		priority: Priority(obj),
		nodes:    match.NewLabels(spec.NodeSelector),
		resource: spec.ResourceName,
		numVFs:   spec.NumVfs, mtu: spec.Mtu,
		eswitch:       hw.EswitchMode(spec.EswitchMode),
		linkType:      linkType(spec.LinkType),
		external:      spec.ExternallyManaged,
		allowInUse:    spec.AllowInUse,
		allowUnlisted: spec.AllowUnlistedNics,
		driver:        desired.Driver(cmp.Or(spec.DeviceType, sriovv1.DeviceTypeNetdevice)),
		vdpa:          hw.VDPAType(spec.VdpaType),
		vhostNet:      spec.NeedVhostNet,
		bridge:        spec.Bridge.OVS != nil,
	}
	// A VF on an InfiniBand link always has its RDMA device, unless userspace has
	// the VF.
	p.rdma = spec.IsRdma || (p.linkType == hw.LinkInfiniBand && p.driver == desired.Kernel)
	if obj.Name == sriovv1.DefaultPolicyName {
		p.out = reason.DeprecatedDefault
		return p
	}
	p.nics, p.problems = match.NewSelector(spec.NicSelector)
	p.problems = append(p.problems, check(spec, p.nics.Names())...)
	switch {
	case len(p.problems) > 0:
		p.out = reason.BadPolicy
	case p.nics.Empty():
		p.out = reason.EmptySelector
	}
	p.problems = append(p.problems, match.BadRootDevices(spec.NicSelector)...)
	return p
}

// Priority is the policy's priority: 0 wins over 99, and 99 is the default.
func Priority(p *sriovv1.SriovNetworkNodePolicy) int {
	if p.Spec.Priority == nil {
		return sriovv1.DefaultPriority
	}
	return *p.Spec.Priority
}

// linkType reads a policy's link type, which may be in lower case.
func linkType(t sriovv1.LinkType) hw.LinkType { return hw.LinkType(strings.ToUpper(string(t))) }
