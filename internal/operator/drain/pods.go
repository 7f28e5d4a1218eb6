// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// claimDriver is the driver of VFs that are handed out through Dynamic Resource
// Allocation (k8snetworkplumbingwg/dra-driver-sriov, pkg/consts).
const claimDriver = "sriovnetwork.k8snetworkplumbingwg.io"

// errand is what pods have to leave for.
type errand struct {
	// reboot: the node restarts.
	reboot bool
	// scope is which pods leave when it does not.
	scope sriovv1.DisruptionScope
	// affected are the pods that hold VFs which go. nil is that nobody has said.
	affected []sriovv1.AffectedPod
	// prefix is that of the resources that stand for VFs.
	prefix string
	// claims are the resource claims, as namespace/name, that hold VFs.
	claims map[string]bool
}

// concerns reports whether a pod of the node has to leave. One that has ended holds
// nothing.
func (e errand) concerns(pod *corev1.Pod) bool {
	switch {
	case pod.Status.Phase == corev1.PodSucceeded, pod.Status.Phase == corev1.PodFailed:
		return false
	case e.reboot:
		return !ofDaemonSet(pod) && !static(pod)
	case e.isAffected(pod):
		return true
	case e.scope == sriovv1.DisruptionScopeNode || e.affected == nil:
		return e.holdsVF(pod)
	}
	return false
}

func (e errand) isAffected(pod *corev1.Pod) bool {
	return slices.ContainsFunc(e.affected, func(a sriovv1.AffectedPod) bool {
		return a.Namespace == pod.Namespace && a.Name == pod.Name && (a.UID == "" || a.UID == string(pod.UID))
	})
}

// holdsVF reports whether any container of the pod, or the pod itself, asks for a VF, or
// one of its claims holds one.
func (e errand) holdsVF(pod *corev1.Pod) bool {
	asks := func(r corev1.ResourceRequirements) bool { return e.names(r.Requests) || e.names(r.Limits) }
	for i := range pod.Spec.InitContainers {
		if asks(pod.Spec.InitContainers[i].Resources) {
			return true
		}
	}
	for i := range pod.Spec.Containers {
		if asks(pod.Spec.Containers[i].Resources) {
			return true
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if asks(pod.Spec.EphemeralContainers[i].Resources) {
			return true
		}
	}
	if pod.Spec.Resources != nil && asks(*pod.Spec.Resources) {
		return true
	}
	return slices.ContainsFunc(claimsOf(pod), func(name string) bool { return e.claims[pod.Namespace+"/"+name] })
}

// names reports whether a resource with the prefix is in the list, more than none of it.
func (e errand) names(list corev1.ResourceList) bool {
	for name, quantity := range list {
		if strings.HasPrefix(string(name), e.prefix+"/") && !quantity.IsZero() {
			return true
		}
	}
	return false
}

// claimsOf are the names of the pod's resource claims.
func claimsOf(pod *corev1.Pod) []string {
	var out []string
	for _, c := range pod.Spec.ResourceClaims {
		if c.ResourceClaimName != nil {
			out = append(out, *c.ResourceClaimName)
		}
	}
	for _, c := range pod.Status.ResourceClaimStatuses {
		if c.ResourceClaimName != nil && !slices.Contains(out, *c.ResourceClaimName) {
			out = append(out, *c.ResourceClaimName)
		}
	}
	return out
}

// static reports whether the pod comes from a file on the node, so that the API cannot
// make it leave.
func static(pod *corev1.Pod) bool {
	_, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

func ofDaemonSet(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "DaemonSet" && strings.HasPrefix(owner.APIVersion, "apps/")
}

// returns reports whether the pod is one that its DaemonSet has put on the node since
// the drain began, although the node is tainted: evicting it brings the next.
func returns(pod *corev1.Pod, since time.Time) bool {
	return ofDaemonSet(pod) && !since.IsZero() && pod.CreationTimestamp.After(since) && slices.ContainsFunc(pod.Spec.Tolerations, tolerates)
}

func tolerates(t corev1.Toleration) bool {
	return (t.Key == "" && t.Operator == corev1.TolerationOpExists || t.Key == sriovv1.TaintDraining) &&
		(t.Effect == "" || t.Effect == corev1.TaintEffectNoSchedule)
}
