// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"errors"
	"fmt"
	"slices"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/network"
)

// The VLAN ids of the API.
const (
	maxVLAN      = 4094
	maxTrunkVLAN = 4095
	maxQoS       = 7
)

// SriovNetwork checks a network of the sriov CNI plugin, or of kube-ovn.
func SriovNetwork(n *sriovv1.SriovNetwork, f Facts) []Problem {
	o := &object{kind: sriovv1.KindSriovNetwork, meta: &n.ObjectMeta}
	s := &n.Spec
	checkPlace(o, s.NetworkNamespace, s.ResourceName, f)
	checkTexts(o, texts{s.Capabilities, s.IPAM, s.MetaPluginsConfig})
	within(o, "spec.vlan", s.Vlan, 0, maxVLAN)
	within(o, "spec.vlanQoS", s.VlanQoS, 0, maxQoS)
	choice(o, "spec.vlanProto", s.VlanProto, "", "802.1q", "802.1Q", "802.1ad", "802.1AD")
	choice(o, "spec.spoofChk", s.SpoofChk, "", sriovv1.SwitchOn, sriovv1.SwitchOff)
	choice(o, "spec.trust", s.Trust, "", sriovv1.SwitchOn, sriovv1.SwitchOff)
	checkLinkState(o, s.LinkState)
	choice(o, "spec.logLevel", s.LogLevel, "", "panic", "error", "warning", "info", "debug")
	if s.Vlan == 0 && s.VlanQoS != 0 {
		o.warn("spec.vlanQoS", fmt.Sprintf("%d has no effect without a VLAN", s.VlanQoS), "set vlan, or remove vlanQoS")
	}
	if s.Vlan == 0 && (s.VlanProto == "802.1ad" || s.VlanProto == "802.1AD") {
		o.warn("spec.vlanProto", s.VlanProto+" has no effect without a VLAN", "set vlan, or remove vlanProto")
	}
	checkRates(o, s.MinTxRate, s.MaxTxRate)
	for _, field := range network.Ignored(n) {
		o.warn(field, "it has no effect through kube-ovn", "remove it, or remove kubeOVN")
	}
	return o.sorted()
}

// SriovIBNetwork checks a network of the ib-sriov CNI plugin.
func SriovIBNetwork(n *sriovv1.SriovIBNetwork, f Facts) []Problem {
	o := &object{kind: sriovv1.KindSriovIBNetwork, meta: &n.ObjectMeta}
	s := &n.Spec
	checkPlace(o, s.NetworkNamespace, s.ResourceName, f)
	checkTexts(o, texts{s.Capabilities, s.IPAM, s.MetaPluginsConfig})
	checkLinkState(o, s.LinkState)
	return o.sorted()
}

// OVSNetwork checks a network of the ovs CNI plugin.
func OVSNetwork(n *sriovv1.OVSNetwork, f Facts) []Problem {
	o := &object{kind: sriovv1.KindOVSNetwork, meta: &n.ObjectMeta}
	s := &n.Spec
	checkPlace(o, s.NetworkNamespace, s.ResourceName, f)
	checkTexts(o, texts{s.Capabilities, s.IPAM, s.MetaPluginsConfig})
	if s.Vlan > maxTrunkVLAN {
		o.refuse("spec.vlan", fmt.Sprintf("%d is out of range", s.Vlan), fmt.Sprintf("use 0 to %d", maxTrunkVLAN))
	}
	for i, t := range s.Trunk {
		if t != nil {
			checkTrunk(o, fmt.Sprintf("spec.trunk[%d]", i), t)
		}
	}
	return o.sorted()
}

func checkTrunk(o *object, field string, t *sriovv1.TrunkConfig) {
	for _, v := range []struct {
		name string
		id   *uint
	}{{"minID", t.MinID}, {"maxID", t.MaxID}, {"id", t.ID}} {
		if v.id != nil && *v.id > maxTrunkVLAN {
			o.refuse(field+"."+v.name, fmt.Sprintf("%d is out of range", *v.id), fmt.Sprintf("use 0 to %d", maxTrunkVLAN))
		}
	}
	switch {
	case (t.MinID == nil) != (t.MaxID == nil):
		o.refuse(field, "a range needs both minID and maxID", "set both, or id alone")
	case t.MinID != nil && *t.MinID > *t.MaxID:
		o.refuse(field, fmt.Sprintf("the range ends at %d before it starts at %d", *t.MaxID, *t.MinID), "exchange minID and maxID")
	case t.MinID == nil && t.ID == nil:
		o.warn(field, "it names no VLAN", "set id, or minID and maxID")
	}
}

// checkPlace checks where the attachment goes and which resource it is for.
func checkPlace(o *object, networkNamespace, resource string, f Facts) {
	if networkNamespace != "" && f.Namespace != "" && o.meta.Namespace != f.Namespace {
		// The words are those that other software looks for.
		o.refuse("spec.networkNamespace", fmt.Sprintf(
			".Spec.NetworkNamespace field can't be specified if the resource is not in the %s namespace", f.Namespace),
			"create the object in "+f.Namespace+", or remove networkNamespace")
	}
	offered := func(p sriovv1.SriovNetworkNodePolicy) bool { return p.Spec.ResourceName == resource }
	switch {
	case resource == "":
		o.refuse("spec.resourceName", "it is empty", "name the resource of a policy")
	case len(f.Policies) > 0 && !slices.ContainsFunc(f.Policies, offered) && !slices.Contains(f.Resources, resource):
		o.warn("spec.resourceName", fmt.Sprintf("no policy offers the resource %q at present", resource), "name the resource of a policy, without its prefix")
	}
}

// texts are the fields of a network that hold JSON.
type texts struct{ capabilities, ipam, plugins string }

// checkTexts checks each text by itself, so that one fault hides no other, with
// the parser that attachments of every kind are rendered with.
func checkTexts(o *object, t texts) {
	for _, one := range []texts{{capabilities: t.capabilities}, {ipam: t.ipam}, {plugins: t.plugins}} {
		carrier := sriovv1.SriovNetwork{Spec: sriovv1.SriovNetworkSpec{
			Capabilities: one.capabilities, IPAM: one.ipam, MetaPluginsConfig: one.plugins,
		}}
		carrier.Name = "any"
		_, err := network.Render(&carrier, network.Options{})
		var fault *network.FieldError
		switch {
		case err == nil:
		case errors.As(err, &fault):
			cause := fault.Cause.Error()
			if fault.Line > 0 {
				cause += fmt.Sprintf(" (line %d, column %d)", fault.Line, fault.Column)
			}
			o.refuse(fault.Field, cause, fault.Fix)
		default:
			o.refuse("spec", err.Error(), "")
		}
	}
}

func checkLinkState(o *object, s sriovv1.LinkState) {
	choice(o, "spec.linkState", s, "", sriovv1.LinkStateAuto, sriovv1.LinkStateEnable, sriovv1.LinkStateDisable)
}

func checkRates(o *object, least, most *int) {
	for _, v := range []struct {
		field string
		rate  *int
	}{{"spec.minTxRate", least}, {"spec.maxTxRate", most}} {
		if v.rate != nil && *v.rate < 0 {
			o.refuse(v.field, fmt.Sprintf("%d is negative", *v.rate), "use 0, no limit, or more")
		}
	}
	// A maximum of 0 is no limit.
	if least != nil && most != nil && *most > 0 && *least > *most {
		o.refuse("spec.minTxRate", fmt.Sprintf("%d is more than maxTxRate %d", *least, *most), "lower it, or raise maxTxRate")
	}
}
