// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SriovNetworkNodeState shows what one node should be and what it is. It has the name of the node and
// is managed by the operator alone: the controller writes spec, the daemon of the node writes status.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=sns
// +kubebuilder:printcolumn:name="Sync Status",type=string,JSONPath=".status.syncStatus"
// +kubebuilder:printcolumn:name="Desired Sync State",type=string,JSONPath=`.metadata.annotations['sriovnetwork\.openshift\.io/desired-state']`
// +kubebuilder:printcolumn:name="Current Sync State",type=string,JSONPath=`.metadata.annotations['sriovnetwork\.openshift\.io/current-state']`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Last Error",type=string,JSONPath=".status.lastSyncError",priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type SriovNetworkNodeState struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the node should be, rendered from the policies that select it.
	// +optional
	Spec SriovNetworkNodeStateSpec `json:"spec,omitzero"`
	// status is what the node is, reported by its daemon.
	// +optional
	Status SriovNetworkNodeStateStatus `json:"status,omitzero"`
}

// SriovNetworkNodeStateSpec is what a node should be.
type SriovNetworkNodeStateSpec struct {
	// interfaces are the PFs to configure, sorted by their PCI address.
	// A PF that is not listed is left alone, or given back if it was configured before.
	// +optional
	Interfaces []Interface `json:"interfaces,omitempty"`
	// bridges are the software bridges to configure.
	// +optional
	Bridges Bridges `json:"bridges,omitzero"`
	// system holds settings of the whole node.
	// +optional
	System System `json:"system,omitzero"`
}

// Interface is what one PF should be.
type Interface struct {
	// pciAddress is the PCI address of the PF, such as "0000:5f:00.0".
	// +required
	PciAddress string `json:"pciAddress"`
	// numVfs is how many virtual functions the PF should have.
	// +optional
	NumVfs int `json:"numVfs,omitempty"`
	// mtu, in bytes, is what the PF should have at least. Unset leaves it alone.
	// +optional
	Mtu int `json:"mtu,omitempty"`
	// name is the name of the PF when this was rendered.
	// +optional
	Name string `json:"name,omitempty"`
	// linkType is the link layer the PF should have. Unset leaves it alone.
	// +optional
	LinkType LinkType `json:"linkType,omitempty"`
	// eSwitchMode is the mode the PF's embedded switch should have. Unset counts as legacy.
	// +optional
	EswitchMode EswitchMode `json:"eSwitchMode,omitempty"`
	// vfGroups say what the virtual functions are for. Virtual functions in no group keep their driver.
	// +optional
	VfGroups []VfGroup `json:"vfGroups,omitempty"`
	// externallyManaged says that the virtual functions are made by somebody else.
	// +optional
	ExternallyManaged bool `json:"externallyManaged,omitempty"`
	// allowUnlistedNics is copied from the policy: the NIC may be configured although it is not in the list
	// of supported NICs.
	// +optional
	AllowUnlistedNics bool `json:"allowUnlistedNics,omitempty"`
	// allowInUse is copied from the policy: the PF may be configured although it carries traffic of the node.
	// +optional
	AllowInUse bool `json:"allowInUse,omitempty"`
}

// VfGroup is what one policy wants some virtual functions of a PF to be.
type VfGroup struct {
	// resourceName is the name, without prefix, under which the virtual functions are offered.
	// +optional
	ResourceName string `json:"resourceName,omitempty"`
	// deviceType is the driver for the virtual functions. Empty counts as netdevice.
	// +optional
	DeviceType DeviceType `json:"deviceType,omitempty"`
	// vfRange is the first and last virtual function with '-' between, such as "0-3". It counts from 0
	// and includes both ends.
	// +optional
	VfRange string `json:"vfRange,omitempty"`
	// policyName is the policy that asked for the group.
	// +optional
	PolicyName string `json:"policyName,omitempty"`
	// mtu, in bytes, is what the virtual functions should have. Unset leaves it alone.
	// +optional
	Mtu int `json:"mtu,omitempty"`
	// isRdma asks for the virtual functions' RDMA devices.
	// +optional
	IsRdma bool `json:"isRdma,omitempty"`
	// vdpaType makes a vDPA device on each virtual function.
	// +optional
	VdpaType VdpaType `json:"vdpaType,omitempty"`
	// needVhostNet says that pods are given /dev/vhost-net and /dev/net/tun with the virtual functions, so that
	// the node needs their modules.
	// +optional
	NeedVhostNet bool `json:"needVhostNet,omitempty"`
}

// Bridges are the software bridges of a node.
type Bridges struct {
	// ovs are the OVS bridges, sorted by name.
	// +optional
	OVS []OVSConfigExt `json:"ovs,omitempty"`
}

// OVSConfigExt is one OVS bridge of a node.
type OVSConfigExt struct {
	// name is the name of the bridge.
	// +required
	Name string `json:"name"`
	// bridge holds settings of the bridge itself.
	// +optional
	Bridge OVSBridgeConfig `json:"bridge,omitzero"`
	// uplinks are the PFs attached to the bridge.
	// +optional
	Uplinks []OVSUplinkConfigExt `json:"uplinks,omitempty"`
}

// OVSUplinkConfigExt is one PF attached to an OVS bridge.
type OVSUplinkConfigExt struct {
	// pciAddress is the PCI address of the PF.
	// +required
	PciAddress string `json:"pciAddress"`
	// name is the name of the PF.
	// +optional
	Name string `json:"name,omitempty"`
	// interface holds columns of the PF's row in the OVS table Interface.
	// +optional
	Interface OVSInterfaceConfig `json:"interface,omitzero"`
}

// System holds settings of a whole node.
type System struct {
	// rdmaMode is how RDMA devices are shared among network namespaces: shared or exclusive.
	// Unset leaves it alone.
	// +kubebuilder:validation:Enum=shared;exclusive
	// +optional
	RdmaMode RdmaMode `json:"rdmaMode,omitempty"`
}

// SriovNetworkNodeStateStatus is what a node is.
type SriovNetworkNodeStateStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// interfaces are the NICs with SR-IOV that were found, sorted by PCI address.
	// In a virtual deployment they are the virtual functions themselves.
	// +optional
	Interfaces []InterfaceExt `json:"interfaces,omitempty"`
	// bridges are the software bridges that the operator manages, as they are.
	// +optional
	Bridges Bridges `json:"bridges,omitzero"`
	// system holds settings of the whole node, as they are.
	// +optional
	System System `json:"system,omitzero"`
	// syncStatus is Succeeded when the node is as desired, InProgress while it is changed or waits for its turn,
	// Failed when it is not as desired and will not become so by itself. Empty: the daemon has not yet reported.
	// +optional
	SyncStatus SyncStatus `json:"syncStatus,omitempty"`
	// lastSyncError is why the node is not as desired, with cause and fix. Empty when it is.
	// +optional
	LastSyncError string `json:"lastSyncError,omitempty"`
	// plan is what is being done to the node, or what waits for its turn. Absent when there is nothing to do.
	// After a failure it stays, with the step that failed.
	// +optional
	Plan *NodePlan `json:"plan,omitempty"`
	// conditions: Ready is true when the node is as desired; its reason and message say what is missing.
	// Progressing is true while the node is changed, Draining while it waits for pods to leave, or for its turn.
	// RestoredAtBoot says how the last boot went, where a service makes virtual functions at boot.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// InterfaceExt is what one PF is. In a virtual deployment it is a virtual function, which is its own PF.
type InterfaceExt struct {
	// name is the name of the PF's netdev. Empty when it has none, as under vfio-pci.
	// +optional
	Name string `json:"name,omitempty"`
	// mac is the MAC address of the PF.
	// +optional
	Mac string `json:"mac,omitempty"`
	// driver is the kernel driver that the PF is bound to.
	// +optional
	Driver string `json:"driver,omitempty"`
	// pciAddress is the PCI address of the PF, such as "0000:5f:00.0".
	// +required
	PciAddress string `json:"pciAddress"`
	// vendor is the PCI vendor id: four hexadecimal digits in lower case.
	// +optional
	Vendor string `json:"vendor,omitempty"`
	// deviceID is the PCI device id: four hexadecimal digits in lower case.
	// +optional
	DeviceID string `json:"deviceID,omitempty"`
	// netFilter is the network that a NIC of a virtual deployment is attached to.
	// +optional
	NetFilter string `json:"netFilter,omitempty"`
	// mtu is the MTU of the PF, in bytes.
	// +optional
	Mtu int `json:"mtu,omitempty"`
	// numVfs is how many virtual functions the PF has.
	// +optional
	NumVfs int `json:"numVfs,omitempty"`
	// linkSpeed is the speed of the link, such as "25000 Mb/s".
	// +optional
	LinkSpeed string `json:"linkSpeed,omitempty"`
	// linkType is the link layer: ETH or IB.
	// +optional
	LinkType LinkType `json:"linkType,omitempty"`
	// linkAdminState is whether the PF was asked to be up: up or down.
	// +optional
	LinkAdminState LinkAdminState `json:"linkAdminState,omitempty"`
	// eSwitchMode is the mode of the embedded switch: legacy or switchdev.
	// +optional
	EswitchMode EswitchMode `json:"eSwitchMode,omitempty"`
	// externallyManaged says that the virtual functions are made by somebody else.
	// +optional
	ExternallyManaged bool `json:"externallyManaged,omitempty"`
	// totalvfs is how many virtual functions the PF can have.
	// +optional
	TotalVfs int `json:"totalvfs,omitempty"`
	// Vfs are the virtual functions that are there, in the order of their number.
	// +optional
	VFs []VirtualFunction `json:"Vfs,omitempty"`
	// altNames are further names of the PF's netdev.
	// +optional
	AltNames []string `json:"altNames,omitempty"`
	// unlisted says that the NIC offers SR-IOV but is not in the ConfigMap supported-nic-ids.
	// Configuring it needs the list entry, or a policy with allowUnlistedNics.
	// +optional
	Unlisted bool `json:"unlisted,omitempty"`
	// inUseBy names what of the node's own traffic the PF carries, such as "default route" or "bond bond0".
	// Steps that would cut it off need a policy with allowInUse.
	// +optional
	InUseBy []string `json:"inUseBy,omitempty"`
	// warnings are sentences about what was asked for and is not so, or about what may surprise.
	// +optional
	Warnings []string `json:"warnings,omitempty"`
	// conditions: Ready is true when the PF is as desired; its reason and message say what is missing.
	// A PF that nobody asked for has none.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// VirtualFunction is what one virtual function is.
type VirtualFunction struct {
	// name is the name of the VF's netdev. Empty when it has none in the host's network namespace,
	// as under vfio-pci or while a pod has it.
	// +optional
	Name string `json:"name,omitempty"`
	// mac is the MAC address of the VF.
	// +optional
	Mac string `json:"mac,omitempty"`
	// assigned names the pod that holds the VF as <namespace>/<name>, when known.
	// +optional
	Assigned string `json:"assigned,omitempty"`
	// driver is the kernel driver that the VF is bound to.
	// +optional
	Driver string `json:"driver,omitempty"`
	// pciAddress is the PCI address of the VF.
	// +required
	PciAddress string `json:"pciAddress"`
	// vendor is the PCI vendor id: four hexadecimal digits in lower case.
	// +optional
	Vendor string `json:"vendor,omitempty"`
	// deviceID is the PCI device id: four hexadecimal digits in lower case.
	// +optional
	DeviceID string `json:"deviceID,omitempty"`
	// Vlan is the VLAN id of the VF's port; 0 is none.
	// +optional
	Vlan int `json:"Vlan,omitempty"`
	// mtu is the MTU of the VF, in bytes.
	// +optional
	Mtu int `json:"mtu,omitempty"`
	// vfID is the number of the VF under its PF, from 0.
	// +optional
	VfID int `json:"vfID"`
	// vdpaType is the kind of vDPA device on the VF: virtio or vhost.
	// +optional
	VdpaType VdpaType `json:"vdpaType,omitempty"`
	// representorName is the host's netdev that stands for the VF on the embedded switch.
	// +optional
	RepresentorName string `json:"representorName,omitempty"`
	// guid is the InfiniBand GUID of the VF.
	// +optional
	GUID string `json:"guid,omitempty"`
}

// SriovNetworkNodeStateList is a list of node states.
//
// +kubebuilder:object:root=true
type SriovNetworkNodeStateList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the node states.
	Items []SriovNetworkNodeState `json:"items"`
}
