// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/holders"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// AnnotationHolds says which VF a pod holds, as the PF's address, '#' and the VF's index. It is what a device plugin
// would have decided.
const AnnotationHolds = "fleet/holds"

// Hang makes the kubelet let no pod go.
func (n *Node) Hang() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hangs = true
}

// Mend makes the kubelet let pods go again, those that it kept first, and the machine do what it is told.
func (n *Node) Mend(ctx context.Context) error {
	n.machine.Heal()
	n.mu.Lock()
	n.hangs = false
	var kept []*corev1.Pod
	for _, pod := range n.ending {
		kept = append(kept, pod)
	}
	n.mu.Unlock()
	for _, pod := range kept {
		if err := n.end(ctx, pod); err != nil {
			return err
		}
	}
	return nil
}

// see does what a kubelet does when a pod changed.
func (n *Node) see(ctx context.Context, pod *corev1.Pod) error {
	if pod.DeletionTimestamp.IsZero() {
		return n.begin(pod)
	}
	n.mu.Lock()
	_, known := n.ending[pod.UID]
	if !known {
		n.ending[pod.UID] = pod
	}
	hangs, vf := n.hangs, n.held[pod.UID].vf
	n.mu.Unlock()
	if known {
		return nil
	}
	// As long as the pod is there the drain goes on, so that what is read now is what it was made to leave by.
	var state sriovv1.SriovNetworkNodeState
	if err := n.fleet.api.Get(ctx, client.ObjectKey{Namespace: n.fleet.namespace, Name: n.name}, &state); err != nil {
		return fmt.Errorf("read the node state of %s: %w", n.name, err)
	}
	n.fleet.laws.Leaves(pod, &state, n.lacks(&state, vf.PF.String()) != "")
	if hangs {
		return nil
	}
	return n.end(ctx, pod)
}

// begin gives a pod its VF.
func (n *Node) begin(pod *corev1.Pod) error {
	holds, ok := pod.Annotations[AnnotationHolds]
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, has := n.held[pod.UID]; has || !ok {
		return nil
	}
	address, index, _ := strings.Cut(holds, "#")
	pf, err := hw.ParsePCIAddr(address)
	if err != nil {
		return fmt.Errorf("pod %s: annotation %s: %w", pod.Name, AnnotationHolds, err)
	}
	vf, err := strconv.Atoi(index)
	if err != nil {
		return fmt.Errorf("pod %s: annotation %s: %w", pod.Name, AnnotationHolds, err)
	}
	link, err := n.machine.Reader().Files.ReadLink(path.Join("sys/bus/pci/devices", address, "virtfn"+index))
	if err != nil {
		return fmt.Errorf("give pod %s its VF: %w", pod.Name, err)
	}
	device, err := hw.ParsePCIAddr(path.Base(link))
	if err != nil {
		return fmt.Errorf("give pod %s its VF: %w", pod.Name, err)
	}
	ref := hw.VFRef{PF: pf, Index: vf}
	if err := n.machine.TakeVF(ref); err != nil {
		return fmt.Errorf("give pod %s its VF: %w", pod.Name, err)
	}
	n.held[pod.UID] = holding{Pod: holders.Pod{Namespace: pod.Namespace, Name: pod.Name, Devices: []hw.PCIAddr{device}}, vf: ref}
	return nil
}

// end takes the VF back, which must be as it was given, and then lets the API forget the pod.
func (n *Node) end(ctx context.Context, pod *corev1.Pod) error {
	n.mu.Lock()
	held, has := n.held[pod.UID]
	delete(n.held, pod.UID)
	n.mu.Unlock()
	if has {
		if err := n.machine.ReturnVF(held.vf); err != nil {
			n.fleet.laws.Breach("pod %s of %s lost its VF while it held it: %v", pod.Name, n.name, err)
		}
	}
	uid := pod.UID
	err := n.fleet.api.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &uid})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("end pod %s: %w", pod.Name, err)
	}
	return nil
}
