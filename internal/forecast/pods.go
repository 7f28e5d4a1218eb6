// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package forecast

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Holder is a pod that a change disturbs.
type Holder struct {
	Node      string `json:"node"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// VFs are the addresses of the VFs that it holds and that are taken; empty when
	// they are not known one by one.
	VFs []string `json:"vfs,omitempty"`
	// Certain is false for a pod that asks for a resource of which some VFs are taken,
	// when nothing tells which of them it has.
	Certain bool `json:"certain"`
	// Asks are the resources that it asks for.
	Asks []string `json:"asks,omitempty"`
}

// networkStatus is the annotation in which the CNI plugin of networks tells what a pod
// got (Network Plumbing Working Group, network attachment specification 4.1.2).
const networkStatus = "k8s.v1.cni.cncf.io/network-status"

// attachment is as much of an entry of networkStatus as counts here (device information
// specification 1.1).
type attachment struct {
	Device struct {
		PCI struct {
			Address string `json:"pci-address"`
		} `json:"pci"`
	} `json:"device-info"`
}

// Disturbs reports whether the pods of the node matter.
func (o Outlook) Disturbs() bool { return o.Effect >= Pods }

// Holders are the pods of the node that the change disturbs, sorted. prefix is that of
// the resources' names.
func (o Outlook) Holders(state *sriovv1.SriovNetworkNodeState, pods []corev1.Pod, prefix string) []Holder {
	if !o.Disturbs() || state == nil {
		return nil
	}
	t := o.taken(state, prefix)
	var out []Holder
	for i := range pods {
		p := &pods[i]
		if p.Spec.NodeName != o.Node || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		if h, ok := t.holder(p); ok || o.Effect == Reboot {
			h.Node, h.Namespace, h.Name = o.Node, p.Namespace, p.Name
			h.Certain = h.Certain || o.Effect == Reboot
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// taken is what a change takes from whoever holds it.
type taken struct {
	// vfs are addresses of VFs, and assigned those that a pod is known to hold.
	vfs      map[string]bool
	assigned map[string][]string
	// resources are full names; whole are those of which every VF is taken.
	resources map[string]bool
	whole     map[string]bool
}

// taken is what the outlook takes: single VFs, or all of the node's.
func (o Outlook) taken(state *sriovv1.SriovNetworkNodeState, prefix string) taken {
	t := taken{vfs: map[string]bool{}, assigned: map[string][]string{}, resources: map[string]bool{}, whole: map[string]bool{}}
	left := map[string]bool{}
	for i := range state.Status.Interfaces {
		pf := &state.Status.Interfaces[i]
		addr, err := hw.ParsePCIAddr(pf.PciAddress)
		if err != nil {
			continue
		}
		asked, _ := o.was.PF(addr)
		for j := range pf.VFs {
			vf := &pf.VFs[j]
			group, grouped := asked.Group(vf.VfID)
			resource := prefix + "/" + group.Resource
			takes := o.Effect > Pods || slices.Contains(o.takes, hw.VFRef{PF: addr, Index: vf.VfID})
			if takes {
				t.vfs[vf.PciAddress] = true
			}
			switch {
			case takes && vf.Assigned != "":
				t.assigned[vf.Assigned] = append(t.assigned[vf.Assigned], vf.PciAddress)
			case grouped && takes:
				t.resources[resource] = true
			}
			if grouped && !takes {
				left[resource] = true
			}
		}
	}
	for r := range t.resources {
		t.whole[r] = !left[r]
	}
	return t
}

// holder is what a pod holds of what is taken; false when it holds nothing of it.
func (t taken) holder(p *corev1.Pod) (Holder, bool) {
	if vfs := t.assigned[p.Namespace+"/"+p.Name]; len(vfs) > 0 {
		return Holder{VFs: vfs, Certain: true}, true
	}
	asks, count := t.asks(p)
	had := devices(p)
	var vfs []string
	for _, d := range had {
		if t.vfs[d] {
			vfs = append(vfs, d)
		}
	}
	switch {
	case len(vfs) > 0:
		slices.Sort(vfs)
		return Holder{VFs: vfs, Certain: true, Asks: asks}, true
	case len(asks) == 0 || int64(len(had)) >= count:
		return Holder{}, false
	}
	certain := slices.ContainsFunc(asks, func(r string) bool { return t.whole[r] })
	return Holder{Certain: certain, Asks: asks}, true
}

// asks are the resources of which VFs are taken and that the pod asks for, sorted, and
// how many devices it asks for of these and others in all.
func (t taken) asks(p *corev1.Pod) ([]string, int64) {
	names := map[string]bool{}
	var count int64
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			// What is requested of an extended resource equals its limit.
			for name, n := range list[i].Resources.Limits {
				if t.resources[string(name)] {
					names[string(name)] = true
					count += n.Value()
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), count
}

// devices are the PCI addresses that the pod's networks were given.
func devices(p *corev1.Pod) []string {
	var all []attachment
	if err := json.Unmarshal([]byte(p.Annotations[networkStatus]), &all); err != nil {
		return nil // there is none, or somebody else wrote it
	}
	var out []string
	for _, a := range all {
		if a.Device.PCI.Address != "" {
			out = append(out, a.Device.PCI.Address)
		}
	}
	return out
}
