// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// verdict is what became of a group.
type verdict struct {
	group operand.Group
	// well: the group is as the configuration asks.
	well            bool
	reason, message string
}

// deployedWell is the verdict on a group whose objects are all as they should be. What
// its settings are not good for is told all the same.
func deployedWell(g operand.Group, warnings []operand.Problem) verdict {
	message := "deployed"
	if len(warnings) > 0 {
		message = "deployed, but " + sentences(warnings)
	}
	return verdict{g, true, sriovv1.ReasonDeployed, message}
}

func turnedOff(g operand.Group) verdict {
	return verdict{g, true, sriovv1.ReasonTurnedOff, "not asked for; nothing of it is deployed"}
}

// refused is the verdict on a group whose settings cannot be used.
func refused(g operand.Group, problems []operand.Problem) verdict {
	reason := sriovv1.ReasonOperatorConfigSyncFailed
	if slices.ContainsFunc(problems, func(p operand.Problem) bool { return p.Reason == sriovv1.ReasonUnsupportedConfiguration }) {
		reason = sriovv1.ReasonUnsupportedConfiguration
	}
	return verdict{g, false, reason, "left as it is: " + sentences(problems)}
}

// foreign is the verdict on a group that needs names which somebody else uses.
func foreign(g operand.Group, refs []operand.Ref) verdict {
	return verdict{
		g, false, sriovv1.ReasonForeignObject,
		fmt.Sprintf("left as it is: somebody else made %s; delete or rename what has this name, or give it the label %s if the operator may have it",
			names(refs), label()),
	}
}

func ending(g operand.Group, refs []operand.Ref) verdict {
	return verdict{
		g, false, sriovv1.ReasonWaitingForDeletion,
		fmt.Sprintf("%s is being deleted; if that takes long, look at its finalizers", names(refs)),
	}
}

// notServing is the verdict on a webhook without a pod that could answer.
func notServing(g operand.Group, workload operand.Ref, called bool) verdict {
	message := fmt.Sprintf("no pod of %s is ready yet, so the API server is not told to call it; look at its pods", workload)
	if called {
		message = fmt.Sprintf("no pod of %s is ready, and the API server calls it; look at its pods", workload)
	}
	return verdict{g, false, sriovv1.ReasonWaitingForPods, message}
}

func failed(g operand.Group, err error) verdict {
	return verdict{g, false, sriovv1.ReasonOperatorConfigSyncFailed, err.Error()}
}

func sentences(problems []operand.Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, p.String())
	}
	return strings.Join(out, "\n")
}

func names(refs []operand.Ref) string {
	var out []string
	for _, ref := range refs {
		out = append(out, ref.String())
	}
	return strings.Join(out, ", ")
}

// label is the operator's label as one writes it.
func label() string {
	for key, value := range operand.Selector() {
		return key + "=" + value
	}
	return ""
}

// conditionOf is the type of a group's condition.
func conditionOf(g operand.Group) string {
	switch g {
	case operand.ConfigDaemon:
		return sriovv1.ConditionConfigDaemonReady
	case operand.DevicePlugin:
		return sriovv1.ConditionDevicePluginReady
	case operand.Injector:
		return sriovv1.ConditionInjectorReady
	case operand.Exporter:
		return sriovv1.ConditionMetricsExporterReady
	case operand.Webhook:
		return sriovv1.ConditionOperatorWebhookReady
	}
	return ""
}

// conditionTypes are those of the conditions that this package writes.
func conditionTypes() []string {
	out := []string{sriovv1.ConditionReady}
	for _, g := range operand.Groups() {
		out = append(out, conditionOf(g))
	}
	return append(out, sriovv1.ConditionKindsServed)
}

// statusOf is the status that says the verdicts. Times are those of the conditions
// before, where their status is the same.
func statusOf(before sriovv1.SriovOperatorConfigStatus, generation int64, verdicts []verdict, missing string, now metav1.Time) sriovv1.SriovOperatorConfigStatus {
	out := sriovv1.SriovOperatorConfigStatus{ObservedGeneration: generation}
	said := []metav1.Condition{ready(verdicts)}
	for _, v := range verdicts {
		said = append(said, metav1.Condition{Type: conditionOf(v.group), Status: status(v.well), Reason: v.reason, Message: v.message})
		switch v.group {
		case operand.Injector:
			out.Injector = v.reason
		case operand.Webhook:
			out.OperatorWebhook = v.reason
		case operand.ConfigDaemon, operand.DevicePlugin, operand.Exporter:
		}
	}
	served := metav1.Condition{
		Type: sriovv1.ConditionKindsServed, Status: metav1.ConditionTrue, Reason: sriovv1.ReasonKindsServed,
		Message: "the cluster has every kind that the configuration can make use of",
	}
	if missing != "" {
		served.Status, served.Reason, served.Message = metav1.ConditionFalse, sriovv1.ReasonKindMissing, "missing: "+missing
	}
	for _, c := range append(said, served) {
		c.Message = speech.Message(c.Message)
		c.ObservedGeneration, c.LastTransitionTime = generation, now
		if was := meta.FindStatusCondition(before.Conditions, c.Type); was != nil && was.Status == c.Status {
			c.LastTransitionTime = was.LastTransitionTime
		}
		out.Conditions = append(out.Conditions, c)
	}
	return out
}

// ready is the condition Ready: every group is as the configuration asks. The message is
// that of the first group that is not.
func ready(verdicts []verdict) metav1.Condition {
	c := metav1.Condition{
		Type: sriovv1.ConditionReady, Status: metav1.ConditionTrue, Reason: sriovv1.ReasonOperatorConfigReady,
		Message: "everything that the configuration asks for is deployed",
	}
	var messages []string
	for _, v := range verdicts {
		if v.well {
			continue
		}
		messages = append(messages, fmt.Sprintf("%s: %s", v.group, v.message))
		c.Status, c.Reason = metav1.ConditionFalse, worse(c.Reason, v.reason)
	}
	if len(messages) > 0 {
		c.Message = strings.Join(messages, "\n")
	}
	return c
}

// worse is the reason of Ready after one more group that is not well.
func worse(so, group string) string {
	switch group {
	case sriovv1.ReasonWaitingForPods, sriovv1.ReasonWaitingForDeletion:
		if so == sriovv1.ReasonOperatorConfigReady {
			return sriovv1.ReasonOperatorConfigProgressing
		}
		return so
	case sriovv1.ReasonUnsupportedConfiguration:
		return group
	}
	if so == sriovv1.ReasonUnsupportedConfiguration {
		return so
	}
	return sriovv1.ReasonOperatorConfigSyncFailed
}

func status(well bool) metav1.ConditionStatus {
	if well {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}
