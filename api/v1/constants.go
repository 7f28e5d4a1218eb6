// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

// Group, version and kinds.
const (
	// GroupName is the API group of every kind in this package.
	GroupName = "sriovnetwork.openshift.io"
	// Version is the only version of the group.
	Version = "v1"

	// KindSriovNetwork is the kind of a network attached with the sriov (or kube-ovn) CNI plugin.
	KindSriovNetwork = "SriovNetwork"
	// KindSriovIBNetwork is the kind of a network attached with the ib-sriov CNI plugin.
	KindSriovIBNetwork = "SriovIBNetwork"
	// KindOVSNetwork is the kind of a network attached with the ovs CNI plugin.
	KindOVSNetwork = "OVSNetwork"
	// KindSriovNetworkNodePolicy is the kind of a wish for virtual functions.
	KindSriovNetworkNodePolicy = "SriovNetworkNodePolicy"
	// KindSriovNetworkNodeState is the kind that shows what one node should be and what it is.
	KindSriovNetworkNodeState = "SriovNetworkNodeState"
	// KindSriovNetworkPoolConfig is the kind of a group of nodes that take turns.
	KindSriovNetworkPoolConfig = "SriovNetworkPoolConfig"
	// KindSriovOperatorConfig is the kind of the operator's settings.
	KindSriovOperatorConfig = "SriovOperatorConfig"
)

// Well-known object names.
const (
	// DefaultConfigName is the name of the only SriovOperatorConfig that is read.
	DefaultConfigName = "default"
	// DefaultPolicyName is the name of a policy that is always skipped: old releases created one by this name.
	DefaultPolicyName = "default"
	// DefaultNamespace is the operator's namespace when nothing else is said.
	DefaultNamespace = "kube-system"
	// ConfigMapDevicePluginConfig holds one device plugin configuration per node; the key is the node's name.
	ConfigMapDevicePluginConfig = "device-plugin-config"
	// ConfigMapSupportedNICIDs holds the NIC list, one "vendor pfDevice vfDevice" line per entry.
	ConfigMapSupportedNICIDs = "supported-nic-ids"
	// ConfigMapSriovConfig holds wishes per node without a policy; the key is the node's name.
	ConfigMapSriovConfig = "sriov-configmap"
	// ConfigMapSriovConfigDefaultKey is the key of ConfigMapSriovConfig for nodes without a key of their own.
	ConfigMapSriovConfigDefaultKey = "default"
)

// Defaults that are applied by the schema or, where a schema cannot, by the reader of the object.
const (
	// DefaultPriority is the priority of a policy that names none: the lowest.
	DefaultPriority = 99
	// HighestPriority is the priority that wins over all others.
	HighestPriority = 0
	// DefaultResourcePrefix goes before the resource name when the operator configuration names no prefix.
	DefaultResourcePrefix = "openshift.io"
	// DefaultKubeOVNServerSocket is where the kube-ovn daemon listens for its CNI plugin.
	DefaultKubeOVNServerSocket = "/run/openvswitch/kube-ovn-daemon.sock"
)

// Labels.
const (
	// LabelDevicePlugin on a Node says whether the device plugin should run there: Enabled or Disabled.
	LabelDevicePlugin = "sriovnetwork.openshift.io/device-plugin"
	// LabelDevicePluginEnabled lets the device plugin run on the node.
	LabelDevicePluginEnabled = "Enabled"
	// LabelDevicePluginDisabled keeps the device plugin off the node.
	LabelDevicePluginDisabled = "Disabled"

	// LabelOS on a Node names its operating system; set by the kubelet.
	LabelOS = "kubernetes.io/os"
	// LabelOSLinux is the value of LabelOS that the operator looks for.
	LabelOSLinux = "linux"
	// LabelSriovCapable on a Node says that it has SR-IOV hardware; set by Node Feature Discovery or by hand.
	LabelSriovCapable = "feature.node.kubernetes.io/network-sriov.capable"
	// LabelSriovCapableTrue is the value of LabelSriovCapable that the operator looks for.
	LabelSriovCapableTrue = "true"

	// LabelSriovConfigMap on a ConfigMap says that it is read like the one named ConfigMapSriovConfig.
	LabelSriovConfigMap = "sriovnetwork.openshift.io/sriov-configmap"
	// LabelSriovConfigMapTrue is the value of LabelSriovConfigMap that the operator looks for.
	LabelSriovConfigMapTrue = "true"
)

// Annotations.
const (
	// AnnotationNodeDrain on a Node is what its daemon asks for: Idle, Drain_Required or Reboot_Required.
	// On a MachineConfigPool (OpenShift) the existing operator says Idle or Paused with it; this one pauses none.
	AnnotationNodeDrain = "sriovnetwork.openshift.io/state"
	// AnnotationDesiredState on a SriovNetworkNodeState repeats what the daemon asks for, for external drainers.
	AnnotationDesiredState = "sriovnetwork.openshift.io/desired-state"
	// AnnotationCurrentState on a SriovNetworkNodeState is what was granted: Idle, Draining or DrainComplete.
	AnnotationCurrentState = "sriovnetwork.openshift.io/current-state"
	// AnnotationUseExternalDrainer on a SriovNetworkNodeState, when "true", leaves draining to other software.
	AnnotationUseExternalDrainer = "sriovnetwork.openshift.io/use-external-drainer"
	// AnnotationDrainMessage on a SriovNetworkNodeState says what a drain waits for: a slot in the pool, or which pod
	// and which PodDisruptionBudget. The controller writes it; the daemon repeats it in the condition Draining.
	AnnotationDrainMessage = "sriovnetwork.openshift.io/drain-message"
	// AnnotationCordoned on a Node, when "true", says that the operator cordoned it and will undo that.
	// A node that somebody else cordoned has none.
	AnnotationCordoned = "sriovnetwork.openshift.io/cordoned"
	// AnnotationKeepStateUntil on a SriovNetworkNodeState is the RFC 3339 time after which
	// the object of a node that is gone is deleted.
	AnnotationKeepStateUntil = "sriovnetwork.openshift.io/keep-state-until"
	// AnnotationOwnerRef on a NetworkAttachmentDefinition names its owner as <Kind>.<group>/<namespace>/<name>.
	AnnotationOwnerRef = "sriovnetwork.openshift.io/owner-ref"
	// AnnotationResourceName on a NetworkAttachmentDefinition names the resource as <prefix>/<resourceName>.
	AnnotationResourceName = "k8s.v1.cni.cncf.io/resourceName"
	// AnnotationLastNetworkNamespace on a network is the namespace of the NetworkAttachmentDefinition last created for it.
	AnnotationLastNetworkNamespace = "operator.sriovnetwork.openshift.io/last-network-namespace"
	// AnnotationDevicePluginWaitConfig on a device plugin Pod, when "true", says that it waits
	// until the daemon has configured the node.
	AnnotationDevicePluginWaitConfig = "sriovnetwork.openshift.io/device-plugin-wait-config"
	// AnnotationDevicePluginFound on a device plugin Pod tells apart what there was to find when the plugin started: its
	// configuration and the node's virtual functions. The daemon writes it, and replaces the pod when that has changed.
	AnnotationDevicePluginFound = "sriovnetwork.openshift.io/device-plugin-found"
	// AnnotationDevicePluginConfig on a SriovNetworkNodeState tells apart what the node's device plugin shall read.
	// The controller writes it once that is stored.
	AnnotationDevicePluginConfig = "sriovnetwork.openshift.io/device-plugin-config"
	// AnnotationTrue is the value that switches a yes-or-no annotation on.
	AnnotationTrue = "true"
)

// Owner references that stand for an owner that cannot be named.
const (
	// OwnerRefNotFound is the value of AnnotationOwnerRef when there is no owner object.
	OwnerRefNotFound = "owner-object-not-found"
	// OwnerRefUnknownKind goes before /<namespace>/<name> when the owner has no kind.
	OwnerRefUnknownKind = "unknown"
)

// Values of AnnotationNodeDrain, AnnotationDesiredState and AnnotationCurrentState.
const (
	// DrainIdle: nothing is asked for, nothing is granted.
	DrainIdle = "Idle"
	// DrainRequired: pods that hold virtual functions of the node must leave.
	DrainRequired = "Drain_Required"
	// RebootRequired: everything must leave and the node restarts.
	RebootRequired = "Reboot_Required"
	// Draining: the request was admitted and pods are leaving.
	Draining = "Draining"
	// DrainComplete: the node is free and may be changed.
	DrainComplete = "DrainComplete"
	// MachineConfigPoolPaused: the existing operator paused the MachineConfigPool for a drain (OpenShift).
	MachineConfigPoolPaused = "Paused"
)

// Finalizers.
const (
	// FinalizerNetwork keeps a network until its NetworkAttachmentDefinition is gone.
	FinalizerNetwork = "netattdef.finalizers.sriovnetwork.openshift.io"
	// FinalizerPoolConfig keeps a pool with OVS hardware offload until what was made for it is gone.
	FinalizerPoolConfig = "poolconfig.finalizers.sriovnetwork.openshift.io"
	// FinalizerOperatorConfig keeps the operator configuration until the webhook configurations are gone.
	FinalizerOperatorConfig = "operatorconfig.finalizers.sriovnetwork.openshift.io"
)

// Condition types.
const (
	// ConditionReady says that the object is in force: a network is rendered, every node a policy selects
	// has what it asks for, a node is as desired.
	ConditionReady = "Ready"
	// ConditionConflicted on a policy is true while a field or VF group of it lost to another policy on some PF.
	// The message names the field or group, the winner and the PF.
	ConditionConflicted = "Conflicted"
	// ConditionConfigMapAccepted is false while something in a ConfigMap that the operator reads is broken, and absent
	// otherwise: on a node state while the node's own key of sriov-configmap is, on the operator configuration while
	// anything is, in sriov-configmap or in supported-nic-ids. The message names ConfigMap, key, line and field.
	ConditionConfigMapAccepted = "ConfigMapAccepted"
	// ConditionDevicePluginConfigured on a node state is false while what the node's device plugin shall read cannot be
	// stored, and absent otherwise. The plugin goes on with what is stored.
	ConditionDevicePluginConfigured = "DevicePluginConfigured"
	// ConditionProgressing on a node state is true while the node is changed.
	ConditionProgressing = "Progressing"
	// ConditionDraining on a node state is true while the node waits for pods to leave, or for its turn.
	ConditionDraining = "Draining"
	// ConditionRestoredAtBoot on a node state says how it went at the node's last boot to make virtual functions before
	// the network and the kubelet started, with configurationMode systemd. It is absent where no boot was to do that.
	ConditionRestoredAtBoot = "RestoredAtBoot"
)

// Reasons of ConditionReady on networks and on the operator configuration.
const (
	// ReasonNetworkReady: the NetworkAttachmentDefinition is there and as wanted.
	ReasonNetworkReady = "NetworkReady"
	// ReasonNetAttachDefNotFound: the NetworkAttachmentDefinition could not be read.
	ReasonNetAttachDefNotFound = "NetworkAttachmentDefinitionNotFound"
	// ReasonNetAttachDefInvalid: the network cannot be rendered, or the attachment belongs to someone else.
	ReasonNetAttachDefInvalid = "NetworkAttachmentDefinitionInvalid"
	// ReasonNamespaceNotFound: the namespace for the NetworkAttachmentDefinition does not exist.
	ReasonNamespaceNotFound = "NamespaceNotFound"
	// ReasonOperatorConfigReady: everything the operator configuration asks for is deployed.
	ReasonOperatorConfigReady = "OperatorConfigReady"
	// ReasonOperatorConfigSyncFailed: something the operator configuration asks for could not be deployed.
	ReasonOperatorConfigSyncFailed = "OperatorConfigSyncFailed"
	// ReasonUnsupportedConfiguration: the operator configuration asks for what this cluster cannot have.
	ReasonUnsupportedConfiguration = "UnsupportedConfiguration"
)

// Reasons of ConditionReady and ConditionConflicted on policies, beside those of docs/reference/reasons.md that are about
// one policy.
const (
	// ReasonAllNodesSynced: every selected node has what the policy asks for.
	ReasonAllNodesSynced = "AllNodesSynced"
	// ReasonInProgress: nodes are still becoming what they should be.
	ReasonInProgress = "InProgress"
	// ReasonNodesFailed: nodes will not become what they should be by themselves.
	ReasonNodesFailed = "NodesFailed"
	// ReasonNoConflict: everything that the policy asks for stands.
	ReasonNoConflict = "NoConflict"
	// ReasonLostToOthers: a field or VF group of the policy lost to another policy.
	ReasonLostToOthers = "LostToOthers"
)

// Reasons of ConditionConfigMapAccepted and ConditionDevicePluginConfigured, and of the events that come with them.
const (
	// ReasonBadKey: a key of sriov-configmap cannot be read. Its node keeps what was in force.
	ReasonBadKey = "BadKey"
	// ReasonBadNICEntry: an entry of supported-nic-ids cannot be read. The others count.
	ReasonBadNICEntry = "BadNICEntry"
	// ReasonTooLarge: what one node's device plugin shall read is larger than a ConfigMap may be.
	ReasonTooLarge = "TooLarge"
	// ReasonNoRoom: what a node's device plugin shall read has no room until other nodes need less.
	ReasonNoRoom = "NoRoom"
)

// Feature gates: the known keys of SriovOperatorConfig.spec.featureGates. Unknown keys are kept and ignored.
const (
	// FeatureParallelNICConfig configures the NICs of a node in parallel.
	FeatureParallelNICConfig = "parallelNicConfig"
	// FeatureResourceInjectorMatchCondition limits the injector to pods that name a network.
	FeatureResourceInjectorMatchCondition = "resourceInjectorMatchCondition"
	// FeatureMetricsExporter deploys the metrics exporter.
	FeatureMetricsExporter = "metricsExporter"
	// FeatureManageSoftwareBridges renders and configures the OVS bridges of policies.
	FeatureManageSoftwareBridges = "manageSoftwareBridges"
	// FeatureBlockDevicePluginUntilConfigured holds the device plugin back until the node is configured.
	FeatureBlockDevicePluginUntilConfigured = "blockDevicePluginUntilConfigured"
	// FeatureMellanoxFirmwareReset resets the firmware of Mellanox NICs instead of rebooting the node.
	FeatureMellanoxFirmwareReset = "mellanoxFirmwareReset"
)
