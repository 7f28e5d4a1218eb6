// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SriovNetwork asks for a NetworkAttachmentDefinition, by which pods get virtual functions of a resource
// through the sriov CNI plugin, or through kube-ovn. The attachment has the name of the SriovNetwork.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Resource",type=string,JSONPath=".spec.resourceName",priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type SriovNetwork struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the attachment that is asked for.
	// +optional
	Spec SriovNetworkSpec `json:"spec,omitzero"`
	// status is what became of it. It is written by the operator.
	// +optional
	Status SriovNetworkStatus `json:"status,omitzero"`
}

// SriovNetworkSpec is the attachment that is asked for.
type SriovNetworkSpec struct {
	// networkNamespace is the namespace of the attachment. Default: the namespace of this object.
	// Only objects in the operator's namespace may name another one.
	// +optional
	NetworkNamespace string `json:"networkNamespace,omitempty"`

	// resourceName is the resource, without prefix, whose virtual functions are attached.
	// +required
	ResourceName string `json:"resourceName"`

	// capabilities of the CNI plugin, as a JSON object in a string, such as '{"mac": true, "ips": true}'.
	// +optional
	Capabilities string `json:"capabilities,omitempty"`

	// ipam is the address management of the attachment, as a JSON object in a string. Default: none.
	// +optional
	IPAM string `json:"ipam,omitempty"`

	// vlan is the VLAN id of the virtual function. Default: 0, no VLAN.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4094
	// +optional
	Vlan int `json:"vlan,omitempty"`

	// vlanQoS is the VLAN priority of the virtual function. Default: 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=7
	// +optional
	VlanQoS int `json:"vlanQoS,omitempty"`

	// vlanProto is the VLAN protocol of the virtual function: 802.1q or 802.1ad. Unset counts as 802.1q.
	// +kubebuilder:validation:Enum="802.1q";"802.1Q";"802.1ad";"802.1AD"
	// +optional
	VlanProto string `json:"vlanProto,omitempty"`

	// spoofChk checks the sender's MAC address of the virtual function: on or off.
	// Unset leaves the driver's setting.
	// +kubebuilder:validation:Enum="on";"off"
	// +optional
	SpoofChk Switch `json:"spoofChk,omitempty"`

	// trust lets the virtual function enter promiscuous mode and change its MAC address: on or off.
	// Unset leaves the driver's setting.
	// +kubebuilder:validation:Enum="on";"off"
	// +optional
	Trust Switch `json:"trust,omitempty"`

	// linkState is the link state that the virtual function shows: auto (as the PF), enable or disable.
	// +kubebuilder:validation:Enum=auto;enable;disable
	// +optional
	LinkState LinkState `json:"linkState,omitempty"`

	// minTxRate is the lowest transmit rate of the virtual function, in Mbit/s. 0 is no limit;
	// unset leaves the driver's setting. Must not be above maxTxRate.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MinTxRate *int `json:"minTxRate,omitempty"`

	// maxTxRate is the highest transmit rate of the virtual function, in Mbit/s. 0 is no limit;
	// unset leaves the driver's setting.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MaxTxRate *int `json:"maxTxRate,omitempty"`

	// metaPlugins are CNI plugins that run after this one: JSON objects in a string, with commas between.
	// +optional
	MetaPluginsConfig string `json:"metaPlugins,omitempty"`

	// logLevel of the CNI plugin: panic, error, warning, info or debug. Default: info.
	// +kubebuilder:validation:Enum=panic;error;warning;info;debug;""
	// +kubebuilder:default=info
	// +optional
	LogLevel string `json:"logLevel,omitempty"`

	// logFile of the CNI plugin, a path on the node. Unset logs to standard error only.
	// +optional
	LogFile string `json:"logFile,omitempty"`

	// kubeOVN attaches the virtual functions through kube-ovn, which offloads their flows to the NIC.
	// Unset attaches them through the sriov CNI plugin.
	// +optional
	KubeOVN *KubeOVNConfig `json:"kubeOVN,omitempty"`
}

// KubeOVNConfig is how virtual functions are attached through kube-ovn.
type KubeOVNConfig struct {
	// provider is the kube-ovn provider, which the kube-ovn Subnet of the network names as well.
	// Default: <name of the attachment>.<namespace of the attachment>.ovn
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Provider string `json:"provider,omitempty"`

	// serverSocket is where the kube-ovn daemon listens, a path on the node.
	// Default: /run/openvswitch/kube-ovn-daemon.sock
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ServerSocket string `json:"serverSocket,omitempty"`

	// vfDriver tells kube-ovn which driver the virtual functions are bound to, such as vfio-pci.
	// Default: vfio-pci if every policy for the resource has deviceType vfio-pci, else none.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	VfDriver string `json:"vfDriver,omitempty"`
}

// SriovNetworkStatus is what became of a SriovNetwork.
type SriovNetworkStatus struct {
	// conditions: Ready is true when the NetworkAttachmentDefinition is there and as asked for.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SriovNetworkList is a list of SriovNetworks.
//
// +kubebuilder:object:root=true
type SriovNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the networks.
	Items []SriovNetwork `json:"items"`
}

// SriovIBNetwork asks for a NetworkAttachmentDefinition, by which pods get InfiniBand virtual functions
// of a resource through the ib-sriov CNI plugin. The attachment has the name of the SriovIBNetwork.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Resource",type=string,JSONPath=".spec.resourceName",priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type SriovIBNetwork struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the attachment that is asked for.
	// +optional
	Spec SriovIBNetworkSpec `json:"spec,omitzero"`
	// status is what became of it. It is written by the operator.
	// +optional
	Status SriovIBNetworkStatus `json:"status,omitzero"`
}

// SriovIBNetworkSpec is the attachment that is asked for.
type SriovIBNetworkSpec struct {
	// networkNamespace is the namespace of the attachment. Default: the namespace of this object.
	// Only objects in the operator's namespace may name another one.
	// +optional
	NetworkNamespace string `json:"networkNamespace,omitempty"`

	// resourceName is the resource, without prefix, whose virtual functions are attached.
	// +required
	ResourceName string `json:"resourceName"`

	// capabilities of the CNI plugin, as a JSON object in a string, such as '{"infinibandGUID": true}'.
	// +optional
	Capabilities string `json:"capabilities,omitempty"`

	// ipam is the address management of the attachment, as a JSON object in a string. Default: none.
	// +optional
	IPAM string `json:"ipam,omitempty"`

	// linkState is the link state that the virtual function shows: auto (as the PF), enable or disable.
	// +kubebuilder:validation:Enum=auto;enable;disable
	// +optional
	LinkState LinkState `json:"linkState,omitempty"`

	// metaPlugins are CNI plugins that run after this one: JSON objects in a string, with commas between.
	// +optional
	MetaPluginsConfig string `json:"metaPlugins,omitempty"`
}

// SriovIBNetworkStatus is what became of a SriovIBNetwork.
type SriovIBNetworkStatus struct {
	// conditions: Ready is true when the NetworkAttachmentDefinition is there and as asked for.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SriovIBNetworkList is a list of SriovIBNetworks.
//
// +kubebuilder:object:root=true
type SriovIBNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the networks.
	Items []SriovIBNetwork `json:"items"`
}

// OVSNetwork asks for a NetworkAttachmentDefinition, by which pods get virtual functions of a resource
// attached to an OVS bridge through the ovs CNI plugin. The attachment has the name of the OVSNetwork.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Resource",type=string,JSONPath=".spec.resourceName",priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type OVSNetwork struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the attachment that is asked for.
	// +optional
	Spec OVSNetworkSpec `json:"spec,omitzero"`
	// status is what became of it. It is written by the operator.
	// +optional
	Status OVSNetworkStatus `json:"status,omitzero"`
}

// OVSNetworkSpec is the attachment that is asked for.
type OVSNetworkSpec struct {
	// networkNamespace is the namespace of the attachment. Default: the namespace of this object.
	// Only objects in the operator's namespace may name another one.
	// +optional
	NetworkNamespace string `json:"networkNamespace,omitempty"`

	// resourceName is the resource, without prefix, whose virtual functions are attached.
	// +required
	ResourceName string `json:"resourceName"`

	// capabilities of the CNI plugin, as a JSON object in a string.
	// +optional
	Capabilities string `json:"capabilities,omitempty"`

	// ipam is the address management of the attachment, as a JSON object in a string. Default: none.
	// +optional
	IPAM string `json:"ipam,omitempty"`

	// vlan is the VLAN id of the port on the bridge. Default: 0, no VLAN.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	// +optional
	Vlan uint `json:"vlan,omitempty"`

	// mtu of the port on the bridge, in bytes. Default: 0, the bridge's.
	// +optional
	MTU uint `json:"mtu,omitempty"`

	// trunk are the VLANs that the port carries. Default: none.
	// +optional
	Trunk []*TrunkConfig `json:"trunk,omitempty"`

	// bridge is the OVS bridge to attach to. Default: the bridge that the PF is an uplink of.
	// +optional
	Bridge string `json:"bridge,omitempty"`

	// metaPlugins are CNI plugins that run after this one: JSON objects in a string, with commas between.
	// +optional
	MetaPluginsConfig string `json:"metaPlugins,omitempty"`

	// interfaceType is the OVS interface type of the port, such as "dpdk". Default: a netdev of the kernel.
	// +optional
	InterfaceType string `json:"interfaceType,omitempty"`
}

// TrunkConfig is one VLAN, by id, or a range of VLANs, from minID to maxID.
type TrunkConfig struct {
	// minID is the first VLAN id of a range.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	// +optional
	MinID *uint `json:"minID,omitempty"`
	// maxID is the last VLAN id of a range.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	// +optional
	MaxID *uint `json:"maxID,omitempty"`
	// id is a single VLAN id.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	// +optional
	ID *uint `json:"id,omitempty"`
}

// OVSNetworkStatus is what became of an OVSNetwork.
type OVSNetworkStatus struct {
	// conditions: Ready is true when the NetworkAttachmentDefinition is there and as asked for.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// OVSNetworkList is a list of OVSNetworks.
//
// +kubebuilder:object:root=true
type OVSNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the networks.
	Items []OVSNetwork `json:"items"`
}
