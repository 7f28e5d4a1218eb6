// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SriovNetworkNodePolicy asks for virtual functions on the NICs it selects, on the nodes it selects.
// It is accepted before any node or NIC matches it. Only policies in the operator's namespace count.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=snsp
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=".spec.priority",description="0 wins over 99"
// +kubebuilder:printcolumn:name="Resource",type=string,JSONPath=".spec.resourceName"
// +kubebuilder:printcolumn:name="NumVfs",type=integer,JSONPath=".spec.numVfs"
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=".status.matchedNodeCount",description="nodes selected"
// +kubebuilder:printcolumn:name="Synced",type=integer,JSONPath=".status.syncedNodeCount",description="nodes that are as desired"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Device Type",type=string,JSONPath=".spec.deviceType",priority=1
// +kubebuilder:printcolumn:name="PFs",type=integer,JSONPath=".status.matchedPFCount",priority=1,description="PFs selected on all nodes"
// +kubebuilder:printcolumn:name="Conflicted",type=string,JSONPath=`.status.conditions[?(@.type=="Conflicted")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'default' || !has(self.spec) || self.spec.resourceName.matches('^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$')",fieldPath=".spec.resourceName",reason=FieldValueInvalid,message="must be letters and digits, with '-' and '_' only in between, without a prefix: write cx5_vfs, not mellanox.com/cx5_vfs"
type SriovNetworkNodePolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	// +optional
	Spec SriovNetworkNodePolicySpec `json:"spec,omitzero"`
	// status is what became of it. It is written by the operator.
	// +optional
	Status SriovNetworkNodePolicyStatus `json:"status,omitzero"`
}

// SriovNetworkNodePolicySpec is what a policy asks for.
//
// +kubebuilder:validation:XValidation:rule="!has(self.nicSelector.pfNames) || self.nicSelector.pfNames.all(p, !p.matches('^[^#]*#[0-9]{1,5}-[0-9]{1,5}$') || int(p.split('#')[1].split('-')[1]) < self.numVfs)",fieldPath=".nicSelector.pfNames",reason=FieldValueInvalid,message="a range ends past the last VF, which is numVfs-1; raise numVfs or shorten the range"
// +kubebuilder:validation:XValidation:rule="!(has(self.deviceType) && self.deviceType == 'vfio-pci' && has(self.isRdma) && self.isRdma)",fieldPath=".isRdma",reason=FieldValueInvalid,message="a VF on vfio-pci has no RDMA device; use deviceType netdevice, or set isRdma to false"
// +kubebuilder:validation:XValidation:rule="!(has(self.eSwitchMode) && self.eSwitchMode == 'switchdev' && has(self.linkType) && self.linkType in ['ib', 'IB'])",fieldPath=".eSwitchMode",reason=FieldValueInvalid,message="switchdev needs Ethernet links; remove eSwitchMode, or set linkType to eth"
// +kubebuilder:validation:XValidation:rule="!has(self.vdpaType) || (has(self.eSwitchMode) && self.eSwitchMode == 'switchdev')",fieldPath=".vdpaType",reason=FieldValueInvalid,message="vDPA needs eSwitchMode switchdev; set it, or remove vdpaType"
// +kubebuilder:validation:XValidation:rule="!has(self.vdpaType) || !has(self.deviceType) || self.deviceType == 'netdevice'",fieldPath=".vdpaType",reason=FieldValueInvalid,message="vDPA needs the VF's kernel driver; set deviceType to netdevice, or remove vdpaType"
// +kubebuilder:validation:XValidation:rule="!has(self.bridge) || !has(self.bridge.ovs) || (has(self.eSwitchMode) && self.eSwitchMode == 'switchdev')",fieldPath=".bridge",reason=FieldValueInvalid,message="a bridge needs eSwitchMode switchdev; set it, or remove bridge"
// +kubebuilder:validation:XValidation:rule="!has(self.bridge) || !has(self.bridge.ovs) || !has(self.externallyManaged) || !self.externallyManaged",fieldPath=".bridge",reason=FieldValueInvalid,message="a bridge cannot be managed on an externally managed PF; remove bridge, or externallyManaged"
type SriovNetworkNodePolicySpec struct {
	// resourceName is the name, without prefix, under which the device plugin offers the virtual functions.
	// Letters and digits, with '-' and '_' in between, at most 63 characters.
	// Several policies may name the same resource.
	// +kubebuilder:validation:MaxLength=63
	// +required
	ResourceName string `json:"resourceName"`

	// nodeSelector selects nodes by label; every pair must be equal. An empty selector selects every node
	// on which the operator runs its daemon.
	// +required
	NodeSelector map[string]string `json:"nodeSelector"`

	// priority decides between policies for the same PF. 0 is the highest, 99 the lowest.
	// Among equal priorities the policy whose name sorts last wins.
	// Default: 99.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	// +kubebuilder:default=99
	// +optional
	Priority *int `json:"priority,omitempty"`

	// mtu, in bytes, is what the PF and its virtual functions should have at least. A PF's MTU is never lowered.
	// Unset leaves it alone. It has no effect in a virtual deployment.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Mtu int `json:"mtu,omitempty"`

	// numVfs is how many virtual functions each selected PF should have.
	// In a virtual deployment the VF is the device, and the number counts as 1.
	// +kubebuilder:validation:Minimum=0
	// +required
	NumVfs int `json:"numVfs"`

	// nicSelector selects NICs of the selected nodes.
	// +required
	NicSelector SriovNetworkNicSelector `json:"nicSelector"`

	// deviceType is the driver for the virtual functions: netdevice for their kernel network driver,
	// vfio-pci for drivers in user space and virtual machines. NICs of Mellanox serve user space
	// with their kernel driver and want netdevice.
	// Default: netdevice.
	// +kubebuilder:validation:Enum=netdevice;vfio-pci
	// +kubebuilder:default=netdevice
	// +optional
	DeviceType DeviceType `json:"deviceType,omitempty"`

	// isRdma asks for virtual functions with their RDMA devices. Not possible with vfio-pci.
	// InfiniBand links on the kernel driver always have it.
	// Default: false.
	// +kubebuilder:default=false
	// +optional
	IsRdma bool `json:"isRdma,omitempty"`

	// needVhostNet gives pods /dev/vhost-net along with the virtual function. Default: false.
	// +optional
	NeedVhostNet bool `json:"needVhostNet,omitempty"`

	// linkType is the link layer the PF should have, eth or ib in lower or upper case. Unset leaves it alone.
	// +kubebuilder:validation:Enum=eth;ETH;ib;IB
	// +optional
	LinkType LinkType `json:"linkType,omitempty"`

	// eSwitchMode is the mode of the NIC's embedded switch: legacy, or switchdev for offload of OVS flows.
	// Unset counts as legacy.
	// +kubebuilder:validation:Enum=legacy;switchdev
	// +optional
	EswitchMode EswitchMode `json:"eSwitchMode,omitempty"`

	// vdpaType makes a vDPA device on each virtual function: virtio for containers, vhost for virtual machines.
	// Needs eSwitchMode switchdev and deviceType netdevice.
	// +kubebuilder:validation:Enum=virtio;vhost
	// +optional
	VdpaType VdpaType `json:"vdpaType,omitempty"`

	// excludeTopology keeps the NUMA node of the virtual functions from the kubelet's topology manager.
	// Default: false.
	// +optional
	ExcludeTopology bool `json:"excludeTopology,omitempty"`

	// externallyManaged says that the virtual functions are made by somebody else. They are used
	// but neither created nor removed. Default: false.
	// +optional
	ExternallyManaged bool `json:"externallyManaged,omitempty"`

	// bridge is a software bridge that each selected PF should be the uplink of.
	// Needs eSwitchMode switchdev and the feature gate manageSoftwareBridges.
	// +optional
	Bridge Bridge `json:"bridge,omitzero"`

	// allowUnlistedNics lets the policy configure a NIC that offers SR-IOV but is not in the ConfigMap
	// supported-nic-ids. Default: false; such a NIC is shown and left alone.
	// +optional
	AllowUnlistedNics bool `json:"allowUnlistedNics,omitempty"`

	// allowInUse lets the policy configure a PF although it carries the default route, a bond, a bridge
	// or an OVS uplink of the node. Steps that interrupt that traffic are then taken.
	// Default: false; such steps are refused and the status says what stands in the way.
	// +optional
	AllowInUse bool `json:"allowInUse,omitempty"`
}

// SriovNetworkNicSelector selects NICs. A NIC is selected when it matches every field that is set.
// A selector with no field set selects nothing.
type SriovNetworkNicSelector struct {
	// vendor is the PCI vendor id: four hexadecimal digits in lower case, such as "15b3".
	// +optional
	Vendor string `json:"vendor,omitempty"`

	// deviceID is the PCI device id of the PF: four hexadecimal digits in lower case, such as "1017".
	// +optional
	DeviceID string `json:"deviceID,omitempty"`

	// rootDevices are PCI addresses of PFs, such as "0000:5f:00.0".
	// +optional
	RootDevices []string `json:"rootDevices,omitempty"`

	// pfNames are names or alternative names of PFs, such as "ens1f0". With a range, such as "ens1f0#2-5",
	// the policy is about virtual functions 2 to 5 of that PF alone; ranges count from 0 and include both ends.
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('#') || self.matches('^[^#]*#[0-9]{1,5}-[0-9]{1,5}$')",message="after '#' comes one range of VFs, first and last with '-' between: write ens1f0#2-5, or ens1f0#2-2 for VF 2 alone"
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('^[^#]*#[0-9]{1,5}-[0-9]{1,5}$') || int(self.split('#')[1].split('-')[0]) <= int(self.split('#')[1].split('-')[1])",message="the range ends before it starts: write the lower VF first, as in ens1f0#2-5"
	// +optional
	PfNames []string `json:"pfNames,omitempty"`

	// netFilter selects NICs of a virtual deployment by the network they are attached to, as
	// "openstack/NetworkID:<uuid>" or "aws/NetworkID:<id>".
	// +optional
	NetFilter string `json:"netFilter,omitempty"`
}

// Bridge is a software bridge; at present an OVS bridge or none.
type Bridge struct {
	// ovs is the OVS bridge.
	// +optional
	OVS *OVSConfig `json:"ovs,omitempty"`
}

// OVSConfig is an OVS bridge and how the PF is attached to it.
type OVSConfig struct {
	// bridge holds settings of the bridge itself.
	// +optional
	Bridge OVSBridgeConfig `json:"bridge,omitzero"`
	// uplink holds settings of the PF's port.
	// +optional
	Uplink OVSUplinkConfig `json:"uplink,omitzero"`
}

// OVSBridgeConfig holds columns of the OVS table Bridge.
type OVSBridgeConfig struct {
	// datapathType is the OVS datapath type, such as "netdev"; empty is the kernel datapath.
	// +optional
	DatapathType string `json:"datapathType,omitempty"`
	// externalIDs are key-value pairs for other software; OVS itself ignores them.
	// +optional
	ExternalIDs map[string]string `json:"externalIDs,omitempty"`
	// otherConfig are further settings of the bridge.
	// +optional
	OtherConfig map[string]string `json:"otherConfig,omitempty"`
	// failMode is what the bridge does without a controller: secure keeps its flows, standalone learns.
	// Unset leaves OVS's default, standalone.
	// +kubebuilder:validation:Enum=secure;standalone
	// +optional
	FailMode FailMode `json:"failMode,omitempty"`
}

// OVSUplinkConfig holds settings of a PF that is the uplink of a bridge.
type OVSUplinkConfig struct {
	// interface holds columns of the PF's row in the OVS table Interface.
	// +optional
	Interface OVSInterfaceConfig `json:"interface,omitzero"`
}

// OVSInterfaceConfig holds columns of the OVS table Interface.
type OVSInterfaceConfig struct {
	// type is the OVS interface type, such as "dpdk"; empty is a netdev of the kernel.
	// +optional
	Type string `json:"type,omitempty"`
	// options are settings that depend on type.
	// +optional
	Options map[string]string `json:"options,omitempty"`
	// externalIDs are key-value pairs for other software; OVS itself ignores them.
	// +optional
	ExternalIDs map[string]string `json:"externalIDs,omitempty"`
	// otherConfig are further settings of the interface.
	// +optional
	OtherConfig map[string]string `json:"otherConfig,omitempty"`
	// mtuRequest, in bytes, asks OVS for this MTU. A policy's mtu takes its place.
	// +optional
	MTURequest *int `json:"mtuRequest,omitempty"`
}

// SriovNetworkNodePolicyStatus is what became of a policy.
type SriovNetworkNodePolicyStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// matchedNodeCount is the number of nodes that nodeSelector selects.
	// +optional
	MatchedNodeCount *int `json:"matchedNodeCount,omitempty"`
	// matchedPFCount is the number of PFs that nicSelector selects on those nodes, all nodes together.
	// +optional
	MatchedPFCount *int `json:"matchedPFCount,omitempty"`
	// syncedNodeCount is the number of selected nodes that are as desired.
	// +optional
	SyncedNodeCount *int `json:"syncedNodeCount,omitempty"`
	// failedNodeCount is the number of selected nodes that are not as desired and will not become so by themselves.
	// +optional
	FailedNodeCount *int `json:"failedNodeCount,omitempty"`
	// conditions: Ready is true once every selected node has what the policy asks for.
	// Conflicted is true while a field or VF group of the policy lost to another policy on some PF;
	// its message names the field or group, the winner and the PF.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SriovNetworkNodePolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type SriovNetworkNodePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the policies.
	Items []SriovNetworkNodePolicy `json:"items"`
}
