// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NodePlan is what is being done to a node, or what waits for its turn: every step, why, and whom it disturbs.
type NodePlan struct {
	// disrupts is the highest class of all steps.
	// +kubebuilder:validation:Enum=none;link;pods;reboot
	// +required
	Disrupts Disruption `json:"disrupts"`
	// observedGeneration is the generation of the spec that the plan leads to.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// affectedPods are the pods that hold virtual functions which the plan destroys or takes from their driver,
	// sorted by namespace and name. They must leave before the plan is carried out.
	// +optional
	AffectedPods []AffectedPod `json:"affectedPods,omitempty"`
	// unknownHolders are virtual functions, by PCI address, that the plan destroys or takes and that somebody
	// holds who is no pod known to the kubelet.
	// +optional
	UnknownHolders []string `json:"unknownHolders,omitempty"`
	// steps are the steps in the order in which they are shown. Steps of different PFs go on at the same time.
	// +optional
	Steps []NodePlanStep `json:"steps,omitempty"`
}

// AffectedPod is a pod that holds virtual functions which a plan destroys or takes from their driver.
type AffectedPod struct {
	// namespace of the pod.
	// +required
	Namespace string `json:"namespace"`
	// name of the pod.
	// +required
	Name string `json:"name"`
	// uid of the pod, so that a successor of the same name is not mistaken for it. Empty when it is not known.
	// +optional
	UID string `json:"uid,omitempty"`
	// devices are the PCI addresses of the virtual functions, sorted.
	// +optional
	Devices []string `json:"devices,omitempty"`
}

// NodePlanStep is one step of a plan.
type NodePlanStep struct {
	// pciAddress is the PF that the step is for. Empty for a step of the whole node.
	// +optional
	PciAddress string `json:"pciAddress,omitempty"`
	// does says what the step does, such as "numvfs 4 → 0".
	// +required
	Does string `json:"does"`
	// why says why the step is needed.
	// +optional
	Why string `json:"why,omitempty"`
	// disrupts is who notices the step.
	// +kubebuilder:validation:Enum=none;link;pods;reboot
	// +required
	Disrupts Disruption `json:"disrupts"`
	// state is how far the step is.
	// +kubebuilder:validation:Enum=Pending;Running;Done;Failed;Skipped
	// +required
	State StepState `json:"state"`
	// took is how long the step took.
	// +optional
	Took *metav1.Duration `json:"took,omitempty"`
	// error is why the step failed.
	// +optional
	Error string `json:"error,omitempty"`
}
