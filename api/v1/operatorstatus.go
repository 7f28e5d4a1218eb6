// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

// Condition types of the operator configuration, besides ConditionReady. Each is true
// when its part is as the configuration asks: deployed, or turned off and gone.
const (
	// ConditionConfigDaemonReady is about the config daemon.
	ConditionConfigDaemonReady = "ConfigDaemonReady"
	// ConditionDevicePluginReady is about the device plugin.
	ConditionDevicePluginReady = "DevicePluginReady"
	// ConditionInjectorReady is about the resources injector.
	ConditionInjectorReady = "InjectorReady"
	// ConditionMetricsExporterReady is about the metrics exporter.
	ConditionMetricsExporterReady = "MetricsExporterReady"
	// ConditionOperatorWebhookReady is about the operator's webhook.
	ConditionOperatorWebhookReady = "OperatorWebhookReady"
	// ConditionKindsServed is true when the cluster has every kind that the configuration
	// can make use of. It does not count for ConditionReady.
	ConditionKindsServed = "KindsServed"
)

// Reasons of the conditions of the operator configuration.
const (
	// ReasonDeployed: every object of the part is there and as it should be.
	ReasonDeployed = "Deployed"
	// ReasonTurnedOff: the configuration does not ask for the part, and nothing of it is there.
	ReasonTurnedOff = "TurnedOff"
	// ReasonWaitingForPods: a webhook is not called before one of its pods is ready.
	ReasonWaitingForPods = "WaitingForPods"
	// ReasonWaitingForDeletion: an object is being deleted and has to be gone first.
	ReasonWaitingForDeletion = "WaitingForDeletion"
	// ReasonForeignObject: somebody else made an object with a name that the part needs.
	ReasonForeignObject = "ForeignObject"
	// ReasonOperatorConfigProgressing: something the operator configuration asks for is on its way.
	ReasonOperatorConfigProgressing = "OperatorConfigProgressing"
	// ReasonKindsServed: no kind is missing.
	ReasonKindsServed = "KindsServed"
	// ReasonKindMissing: the cluster lacks a kind; what needs it is left out until it is there.
	ReasonKindMissing = "KindMissing"
)
