// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package converge

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// NodeState is the outlook as the API's object. Its status has no sync status:
// see Judge.
func NodeState(name, namespace string, o Outlook) sriovv1.SriovNetworkNodeState {
	state := sriovv1.SriovNetworkNodeState{
		TypeMeta:   metav1.TypeMeta{APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: sriovv1.KindSriovNetworkNodeState},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       wire.Spec(o.Desired),
	}
	state.Status.Interfaces = wire.Status(o.Inventory)
	state.Status.System = wire.System(o.Inventory)
	for i := range state.Status.Interfaces {
		pf := &state.Status.Interfaces[i]
		for _, b := range slices.Concat(o.Plan.Blocked, o.Plan.Notices) {
			if b.PF.String() == pf.PciAddress {
				pf.Warnings = append(pf.Warnings, sentence(b))
			}
		}
		want := slices.IndexFunc(state.Spec.Interfaces, func(w sriovv1.Interface) bool { return w.PciAddress == pf.PciAddress })
		pf.ExternallyManaged = want >= 0 && state.Spec.Interfaces[want].ExternallyManaged
	}
	return state
}

// Judge says whether a machine is as desired, from what would still have to
// happen to it. failure is why the last execution failed; nil when it did not or
// when there was none. Succeeded means that nothing is left to do and nothing
// that was asked for is impossible.
func Judge(o Outlook, failure error) (sriovv1.SyncStatus, string) {
	var why []string
	if failure != nil {
		why = append(why, failure.Error())
	}
	for _, b := range o.Plan.Blocked {
		text := sentence(b)
		if !b.PF.IsZero() {
			text = strings.TrimSpace(b.PF.String()+" "+b.Name) + ": " + text
		}
		why = append(why, text)
	}
	for _, pf := range o.Trace.PFs {
		if pf.Rejected != "" {
			why = append(why, pf.Label()+": "+pf.Rejected)
		}
	}
	if left := len(slices.Collect(o.Plan.Steps())); left > 0 && failure == nil {
		why = append(why, fmt.Sprintf("%d steps are left to do", left))
	}
	if r := o.Plan.Reboot; r != nil {
		for _, w := range r.Why {
			why = append(why, "the machine must reboot: "+w.String())
		}
	}
	switch {
	case len(why) > 0:
		return sriovv1.SyncStatusFailed, strings.Join(why, "\n")
	case !o.Plan.Empty():
		return sriovv1.SyncStatusFailed, "the machine is not as desired"
	}
	return sriovv1.SyncStatusSucceeded, ""
}

// sentence is the cause and the fix.
func sentence(b plan.Blocker) string {
	text := b.Why.String()
	if fix := b.Why.Reason.Fix(); fix != "" {
		text = strings.TrimSuffix(text, ".") + ". " + fix
	}
	return text
}
