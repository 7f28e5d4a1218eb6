// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

// DeviceType is the kind of driver that virtual functions are given to.
type DeviceType string

// Device types.
const (
	// DeviceTypeNetdevice leaves a virtual function with its kernel network driver.
	DeviceTypeNetdevice DeviceType = "netdevice"
	// DeviceTypeVfioPci gives a virtual function to vfio-pci, for drivers in user space and virtual machines.
	DeviceTypeVfioPci DeviceType = "vfio-pci"
)

// EswitchMode is the mode of a NIC's embedded switch.
type EswitchMode string

// eSwitch modes.
const (
	// EswitchModeLegacy forwards by MAC and VLAN.
	EswitchModeLegacy EswitchMode = "legacy"
	// EswitchModeSwitchdev is programmable and shows a representor for each virtual function.
	EswitchModeSwitchdev EswitchMode = "switchdev"
)

// LinkType is the link layer of a PF. Policies may spell it in lower case; status has it in upper case.
type LinkType string

// Link types, as in status.
const (
	// LinkTypeETH is Ethernet.
	LinkTypeETH LinkType = "ETH"
	// LinkTypeIB is InfiniBand.
	LinkTypeIB LinkType = "IB"
)

// LinkAdminState is whether a PF was asked to be up.
type LinkAdminState string

// Link admin states.
const (
	// LinkAdminStateUp: the PF was asked to be up; its carrier may still be missing.
	LinkAdminStateUp LinkAdminState = "up"
	// LinkAdminStateDown: the PF was asked to be down.
	LinkAdminStateDown LinkAdminState = "down"
)

// VdpaType is the kind of vDPA device made on a virtual function.
type VdpaType string

// vDPA types.
const (
	// VdpaTypeVirtio makes a virtio network device for containers.
	VdpaTypeVirtio VdpaType = "virtio"
	// VdpaTypeVhost makes a vhost device for virtual machines.
	VdpaTypeVhost VdpaType = "vhost"
)

// RdmaMode is how RDMA devices are shared among network namespaces; one mode per node.
type RdmaMode string

// RDMA modes.
const (
	// RdmaModeShared shows every RDMA device in every network namespace.
	RdmaModeShared RdmaMode = "shared"
	// RdmaModeExclusive shows an RDMA device in one network namespace at a time.
	RdmaModeExclusive RdmaMode = "exclusive"
)

// SyncStatus is how far a node is in becoming what it should be.
type SyncStatus string

// Sync statuses. The empty value means that the daemon has not yet reported.
const (
	// SyncStatusSucceeded: the node is as desired.
	SyncStatusSucceeded SyncStatus = "Succeeded"
	// SyncStatusFailed: the node is not as desired and will not become so by itself; lastSyncError says why.
	SyncStatusFailed SyncStatus = "Failed"
	// SyncStatusInProgress: the node is being changed, or waits for its turn.
	SyncStatusInProgress SyncStatus = "InProgress"
)

// LinkState is the link state that a virtual function shows to its user.
type LinkState string

// Link states.
const (
	// LinkStateAuto follows the PF.
	LinkStateAuto LinkState = "auto"
	// LinkStateEnable is always up.
	LinkStateEnable LinkState = "enable"
	// LinkStateDisable is always down.
	LinkStateDisable LinkState = "disable"
)

// Switch is a setting with the values on and off; empty leaves the driver's setting.
type Switch string

// Switch values.
const (
	// SwitchOn turns it on.
	SwitchOn Switch = "on"
	// SwitchOff turns it off.
	SwitchOff Switch = "off"
)

// FailMode is what an OVS bridge does without a controller.
type FailMode string

// Fail modes.
const (
	// FailModeSecure keeps the flows that are there and adds none.
	FailModeSecure FailMode = "secure"
	// FailModeStandalone forwards like a learning switch.
	FailModeStandalone FailMode = "standalone"
)

// ConfigurationMode is what configures a node.
type ConfigurationMode string

// Configuration modes.
const (
	// ConfigurationModeDaemon configures nodes from the daemon's pod.
	ConfigurationModeDaemon ConfigurationMode = "daemon"
	// ConfigurationModeSystemd configures nodes from a system service at boot, before the kubelet.
	ConfigurationModeSystemd ConfigurationMode = "systemd"
)

// PluginName is a vendor plugin of the daemon.
type PluginName string

// PluginMellanox handles the firmware settings of Mellanox NICs.
const PluginMellanox PluginName = "mellanox"

// PodEvictionPolicy is how pods are made to leave a node.
type PodEvictionPolicy string

// Pod eviction policies.
const (
	// PodEvictionPolicyEvict asks through the eviction API and honours PodDisruptionBudgets.
	PodEvictionPolicyEvict PodEvictionPolicy = "evict"
	// PodEvictionPolicyDelete deletes pods and ignores PodDisruptionBudgets.
	PodEvictionPolicyDelete PodEvictionPolicy = "delete"
)

// DisruptionScope is which pods leave a node before its virtual functions are changed.
type DisruptionScope string

// Disruption scopes.
const (
	// DisruptionScopeAffectedPods: only pods that hold virtual functions about to be changed.
	DisruptionScopeAffectedPods DisruptionScope = "AffectedPods"
	// DisruptionScopeNode: every pod that holds a virtual function of the node.
	DisruptionScopeNode DisruptionScope = "Node"
)

// Disruption is who notices a change. Each class includes the ones before it.
type Disruption string

// Classes of disruption, in order.
const (
	// DisruptionNone disturbs nobody.
	DisruptionNone Disruption = "none"
	// DisruptionLink may pause the PF's own traffic.
	DisruptionLink Disruption = "link"
	// DisruptionPods takes virtual functions away: whoever holds one of them must leave first.
	DisruptionPods Disruption = "pods"
	// DisruptionReboot restarts the node: everybody must leave first.
	DisruptionReboot Disruption = "reboot"
)

// StepState is how far a step of a plan is.
type StepState string

// States of a step.
const (
	// StepPending has not begun.
	StepPending StepState = "Pending"
	// StepRunning is being carried out.
	StepRunning StepState = "Running"
	// StepDone was carried out, or needed nothing.
	StepDone StepState = "Done"
	// StepFailed could not be carried out; its error says why.
	StepFailed StepState = "Failed"
	// StepSkipped was left out because a step before it failed.
	StepSkipped StepState = "Skipped"
)
