// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// SriovNetworkPoolConfig groups nodes that take turns when their pods must leave.
// A node in no pool belongs to a built-in pool in which one node at a time is out.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Max Unavailable",type=string,JSONPath=".spec.maxUnavailable"
// +kubebuilder:printcolumn:name="RDMA Mode",type=string,JSONPath=".spec.rdmaMode"
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=".status.matchedNodeCount"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type SriovNetworkPoolConfig struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is how the nodes of the pool take turns.
	// +optional
	Spec SriovNetworkPoolConfigSpec `json:"spec,omitzero"`
	// status is what became of it. It is written by the operator.
	// +optional
	Status SriovNetworkPoolConfigStatus `json:"status,omitzero"`
}

// SriovNetworkPoolConfigSpec is how the nodes of a pool take turns.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.ovsHardwareOffloadConfig) && has(self.ovsHardwareOffloadConfig.name) && size(self.ovsHardwareOffloadConfig.name) > 0 && has(self.maxUnavailable))",fieldPath=".maxUnavailable",reason=FieldValueInvalid,message="a pool with ovsHardwareOffloadConfig is not a drain pool; set maxUnavailable in a pool of its own"
// +kubebuilder:validation:XValidation:rule="!(has(self.ovsHardwareOffloadConfig) && has(self.ovsHardwareOffloadConfig.name) && size(self.ovsHardwareOffloadConfig.name) > 0 && has(self.nodeSelector))",fieldPath=".nodeSelector",reason=FieldValueInvalid,message="a pool with ovsHardwareOffloadConfig has the nodes of its MachineConfigPool; set nodeSelector in a pool of its own"
type SriovNetworkPoolConfigSpec struct {
	// ovsHardwareOffloadConfig turns on OVS hardware offload for a MachineConfigPool (OpenShift).
	// A pool with a name here is not a drain pool.
	// +optional
	OvsHardwareOffloadConfig OvsHardwareOffloadConfig `json:"ovsHardwareOffloadConfig,omitzero"`

	// nodeSelector selects the nodes of the pool. Unset selects every node. A node may be in one pool only.
	// +optional
	NodeSelector *metav1.LabelSelector `json:"nodeSelector,omitempty"`

	// maxUnavailable is how many nodes of the pool may be out at the same time: a number, or a percentage
	// of the pool from "1%" to "100%". Unset is no limit.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? int(self) >= 0 : string(self).matches('^0*(100|[1-9][0-9]?)%$')",reason=FieldValueInvalid,message="must be a number from 0 up, or a percentage from \"1%\" to \"100%\""
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// rdmaMode is how RDMA devices of the pool's nodes are shared among network namespaces: shared or exclusive.
	// Unset leaves it alone. A change may reboot the nodes.
	// +kubebuilder:validation:Enum=shared;exclusive
	// +optional
	RdmaMode RdmaMode `json:"rdmaMode,omitempty"`

	// disruptionScope is which pods leave a node before its virtual functions are changed.
	// AffectedPods: those that hold virtual functions about to be changed.
	// Node: all that hold any virtual function of the node.
	// Before a reboot everything leaves, whatever the scope.
	// Default: AffectedPods.
	// +kubebuilder:validation:Enum=AffectedPods;Node
	// +kubebuilder:default=AffectedPods
	// +optional
	DisruptionScope DisruptionScope `json:"disruptionScope,omitempty"`
}

// OvsHardwareOffloadConfig turns on OVS hardware offload for a MachineConfigPool (OpenShift).
type OvsHardwareOffloadConfig struct {
	// name of the MachineConfigPool.
	// +optional
	Name string `json:"name,omitempty"`
}

// SriovNetworkPoolConfigStatus is what became of a pool.
type SriovNetworkPoolConfigStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// matchedNodeCount is the number of nodes in the pool.
	// +optional
	MatchedNodeCount *int `json:"matchedNodeCount,omitempty"`
	// conditions: Ready is true when the pool is in force; false when, say, a node is in two pools.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SriovNetworkPoolConfigList is a list of pools.
//
// +kubebuilder:object:root=true
type SriovNetworkPoolConfigList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the pools.
	Items []SriovNetworkPoolConfig `json:"items"`
}

// SriovOperatorConfig holds the operator's settings. Only the object named default
// in the operator's namespace is read.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type SriovOperatorConfig struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec holds the settings.
	// +optional
	Spec SriovOperatorConfigSpec `json:"spec,omitzero"`
	// status is what became of them. It is written by the operator.
	// +optional
	Status SriovOperatorConfigStatus `json:"status,omitzero"`
}

// SriovOperatorConfigSpec holds the operator's settings.
type SriovOperatorConfigSpec struct {
	// configDaemonNodeSelector selects the nodes that the operator looks after, by label; every pair must be equal.
	// Default: kubernetes.io/os=linux and feature.node.kubernetes.io/network-sriov.capable=true;
	// a selector with entries takes the place of both.
	// +optional
	ConfigDaemonNodeSelector map[string]string `json:"configDaemonNodeSelector,omitempty"`

	// enableInjector deploys the webhook that adds requests for virtual functions to pods. Default: false.
	// +optional
	EnableInjector bool `json:"enableInjector,omitempty"`

	// enableOperatorWebhook deploys the webhook that checks objects against each other. Default: false.
	// +optional
	EnableOperatorWebhook bool `json:"enableOperatorWebhook,omitempty"`

	// logLevel of the operator and the daemon: 0 for state changes and errors, 1 and 2 for more. Default: 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2
	// +optional
	LogLevel int `json:"logLevel,omitempty"`

	// disableDrain changes nodes without making pods leave first; pods may lose their virtual functions
	// while running. Reboots still take turns. Default: false.
	// +optional
	DisableDrain bool `json:"disableDrain,omitempty"`

	// enableOvsOffload is accepted and has no effect.
	// +optional
	EnableOvsOffload bool `json:"enableOvsOffload,omitempty"`

	// configurationMode is what configures nodes: daemon, from the daemon's pod, or systemd, from a service
	// at boot before the kubelet starts. Unset counts as daemon.
	// +kubebuilder:validation:Enum=daemon;systemd
	// +optional
	ConfigurationMode ConfigurationMode `json:"configurationMode,omitempty"`

	// useCDI lets the device plugin hand out devices through the Container Device Interface. Default: false.
	// +optional
	UseCDI bool `json:"useCDI,omitempty"`

	// disablePlugins names vendor plugins of the daemon to leave out: mellanox, which sets firmware. Default: none.
	// +kubebuilder:validation:items:Enum=mellanox
	// +optional
	DisablePlugins []PluginName `json:"disablePlugins,omitempty"`

	// featureGates turns features on and off by name. Names that are not known are ignored.
	// +optional
	FeatureGates map[string]bool `json:"featureGates,omitempty"`

	// configDaemonEnvVars are environment variables added to the daemon's container.
	// +optional
	ConfigDaemonEnvVars map[string]string `json:"configDaemonEnvVars,omitempty"`

	// podEvictionPolicy is how pods are made to leave a node: evict asks and honours PodDisruptionBudgets,
	// delete does not.
	// Default: evict.
	// +kubebuilder:validation:Enum=evict;delete
	// +kubebuilder:default=evict
	// +optional
	PodEvictionPolicy PodEvictionPolicy `json:"podEvictionPolicy,omitempty"`

	// podEvictionForce gives pods no time to end. Default: false; pods have their own grace period.
	// +optional
	PodEvictionForce bool `json:"podEvictionForce,omitempty"`

	// resourcePrefix goes before each resourceName, as in <resourcePrefix>/<resourceName>.
	// It is a DNS domain. Default: openshift.io.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be a DNS domain in lower case, without '/', such as mellanox.com"
	// +optional
	ResourcePrefix string `json:"resourcePrefix,omitempty"`
}

// SriovOperatorConfigStatus is what became of the operator's settings.
type SriovOperatorConfigStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// injector says whether the injector is deployed.
	// +optional
	Injector string `json:"injector,omitempty"`
	// operatorWebhook says whether the operator's webhook is deployed.
	// +optional
	OperatorWebhook string `json:"operatorWebhook,omitempty"`
	// conditions: Ready is true when everything that the settings ask for is deployed.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SriovOperatorConfigList is a list of operator configurations.
//
// +kubebuilder:object:root=true
type SriovOperatorConfigList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the operator configurations.
	Items []SriovOperatorConfig `json:"items"`
}
