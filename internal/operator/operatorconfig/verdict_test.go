// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

func TestReadyIsTheWorstOfTheGroups(t *testing.T) {
	well, waits := deployedWell(operand.ConfigDaemon, nil), notServing(operand.Webhook, operand.Ref{Name: "w"}, false)
	alien := foreign(operand.Injector, []operand.Ref{{Name: "x"}})
	cannot := refused(operand.ConfigDaemon, []operand.Problem{{Reason: sriovv1.ReasonUnsupportedConfiguration}})
	for name, test := range map[string]struct {
		verdicts []verdict
		want     string
	}{
		"all are well":                            {[]verdict{well, turnedOff(operand.Exporter)}, sriovv1.ReasonOperatorConfigReady},
		"one waits":                               {[]verdict{well, waits}, sriovv1.ReasonOperatorConfigProgressing},
		"one waits and one is in the way":         {[]verdict{waits, alien}, sriovv1.ReasonOperatorConfigSyncFailed},
		"the order does not count":                {[]verdict{alien, waits}, sriovv1.ReasonOperatorConfigSyncFailed},
		"what the cluster cannot have goes first": {[]verdict{cannot, alien, waits}, sriovv1.ReasonUnsupportedConfiguration},
		"also when it comes last":                 {[]verdict{waits, alien, cannot}, sriovv1.ReasonUnsupportedConfiguration},
	} {
		got := ready(test.verdicts)
		if got.Reason != test.want || (got.Status == metav1.ConditionTrue) != (test.want == sriovv1.ReasonOperatorConfigReady) {
			t.Errorf("%s: %s %s, want %s", name, got.Status, got.Reason, test.want)
		}
	}
}

func TestTheTimeOfAConditionIsThatOfItsStatus(t *testing.T) {
	first, later := metav1.NewTime(time.Unix(1, 0)), metav1.NewTime(time.Unix(2, 0))
	before := statusOf(sriovv1.SriovOperatorConfigStatus{}, 1, []verdict{deployedWell(operand.ConfigDaemon, nil)}, "", first)
	warned := []operand.Problem{{Field: "spec.x", Cause: "has no effect"}}
	after := statusOf(before, 2, []verdict{deployedWell(operand.ConfigDaemon, warned)}, "a kind", later)
	got := map[string]metav1.Time{}
	for _, c := range after.Conditions {
		got[c.Type] = c.LastTransitionTime
	}
	want := map[string]metav1.Time{
		sriovv1.ConditionReady: first, sriovv1.ConditionConfigDaemonReady: first, sriovv1.ConditionKindsServed: later,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
	if c := meta.FindStatusCondition(after.Conditions, sriovv1.ConditionConfigDaemonReady); !strings.Contains(c.Message, "spec.x: has no effect") {
		t.Errorf("the warning is not said: %s", c.Message)
	}
}

func TestThePageNamesEveryConditionAndReason(t *testing.T) {
	page, err := os.ReadFile("../../../docs/reference/operator-configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range append(conditionTypes(),
		sriovv1.ReasonOperatorConfigReady, sriovv1.ReasonOperatorConfigProgressing, sriovv1.ReasonOperatorConfigSyncFailed,
		sriovv1.ReasonUnsupportedConfiguration, sriovv1.ReasonDeployed, sriovv1.ReasonTurnedOff, sriovv1.ReasonWaitingForPods,
		sriovv1.ReasonWaitingForDeletion, sriovv1.ReasonForeignObject, sriovv1.ReasonKindMissing, sriovv1.FinalizerOperatorConfig) {
		if !strings.Contains(string(page), "`"+word+"`") {
			t.Errorf("the page does not name %s", word)
		}
	}
}

// What is watched, mapped and allowed comes from one list of kinds.
func TestEveryOptionalKindHasItsDefinitionInTheRoles(t *testing.T) {
	var names []string
	for _, o := range optionals() {
		names = append(names, o.definition)
	}
	if diff := cmp.Diff(operand.OptionalDefinitions(), names); diff != "" {
		t.Errorf("definitions (-roles +watched):\n%s", diff)
	}
}
