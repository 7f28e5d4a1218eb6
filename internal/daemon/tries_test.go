// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"testing"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// at is so many seconds after the first failure.
func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

func lane(class disruption.Class, basis string) plan.Plan {
	pf := hw.PCIAddr{Bus: 1}
	return plan.Plan{Lanes: []plan.Lane{{PF: pf, Basis: basis, Steps: []plan.Step{{Do: plan.SetNumVFs{PF: pf}, Class: class}}}}}
}

// failed is the outcome of a lane that failed so many times, a minute apart.
func failed(p plan.Plan, times int) (tries, int) {
	t, pace := tries{}, Pace{}.withDefaults()
	cause := &execute.StepError{PF: hw.PCIAddr{Bus: 1}, Step: p.Lanes[0].Steps[0], Err: errors.New("no")}
	last := 0
	for i := range times {
		last = 60 * i
		t.record(p, errors.Join(cause), 1, at(last), pace)
		t.weigh(p, 1, at(last), pace)
	}
	return t, last
}

func TestWhenALaneThatFailedIsTriedAgain(t *testing.T) {
	quiet, taking := lane(disruption.None, "as planned"), lane(disruption.Pods, "as planned")
	for _, test := range []struct {
		name       string
		plan       plan.Plan
		times      int
		after      int // seconds after the last failure
		now        plan.Plan
		generation int64
		want       decide.Try
	}{
		{"not at once", quiet, 1, 0, quiet, 1, decide.Failing},
		{"a moment later", quiet, 1, 2, quiet, 1, decide.Fresh},
		{"longer after the second time", quiet, 2, 2, quiet, 1, decide.Failing},
		{"after the third time no more", quiet, 3, 60, quiet, 1, decide.Failed},
		{"but once in a long while, as it disturbs nobody", quiet, 3, 601, quiet, 1, decide.Fresh},
		{"unless it makes pods leave", taking, 3, 100000, taking, 1, decide.Failed},
		{"another wish is another matter", taking, 3, 1, taking, 2, decide.Fresh},
		{"so is another machine", taking, 3, 60, lane(disruption.Pods, "somebody came by"), 1, decide.Fresh},
		{"what the failure itself left behind is none", taking, 3, 5, lane(disruption.Pods, "udev renamed"), 1, decide.Failed},
	} {
		t.Run(test.name, func(t *testing.T) {
			tries, last := failed(test.plan, test.times)
			got, _ := tries.weigh(test.now, test.generation, at(last+test.after), Pace{}.withDefaults())
			if verdict := got[hw.PCIAddr{Bus: 1}]; verdict != test.want {
				t.Errorf("got %d, want %d", verdict, test.want)
			}
		})
	}
}

func TestAFailureOfNoSingleStepIsOfAllLanes(t *testing.T) {
	p := lane(disruption.None, "a")
	got := failures(p, errors.New("the ledger is broken"))
	if len(got) != 2 || got[hw.PCIAddr{Bus: 1}] == nil || got[hw.PCIAddr{}] == nil {
		t.Errorf("got %v", got)
	}
}

func TestWhatIsDoneIsForgotten(t *testing.T) {
	tries, _ := failed(lane(disruption.None, "a"), 2)
	tries.weigh(plan.Plan{}, 1, at(100), Pace{}.withDefaults())
	if len(tries) != 0 || tries.text() != "" {
		t.Errorf("left: %q", tries.text())
	}
}
