// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

// course is a plan as the status shows it, and how far it is.
type course struct {
	steps []sriovv1.NodePlanStep
	// of are the places in steps by PF, in the order in which they are carried out.
	of map[hw.PCIAddr][]int
	at map[hw.PCIAddr]int
}

func newCourse(p plan.Plan) *course {
	c := &course{of: map[hw.PCIAddr][]int{}, at: map[hw.PCIAddr]int{}}
	c.add(hw.PCIAddr{}, p.Before)
	for _, l := range p.Lanes {
		c.add(l.PF, l.Steps)
	}
	c.add(hw.PCIAddr{}, p.After)
	if p.Reboot != nil {
		c.steps = append(c.steps, sriovv1.NodePlanStep{
			Does: "restart the node", Why: causes(p), Disrupts: sriovv1.DisruptionReboot, State: sriovv1.StepPending,
		})
	}
	return c
}

func (c *course) add(pf hw.PCIAddr, steps []plan.Step) {
	for _, s := range steps {
		shown := sriovv1.NodePlanStep{
			Does: show.Action(s.Do), Why: s.Why.String(), Disrupts: sriovv1.Disruption(s.Class.String()), State: sriovv1.StepPending,
		}
		if !pf.IsZero() {
			shown.PciAddress = pf.String()
		}
		c.of[pf] = append(c.of[pf], len(c.steps))
		c.steps = append(c.steps, shown)
	}
}

// note takes one step further.
func (c *course) note(p execute.Progress) {
	places := c.of[p.PF]
	if c.at[p.PF] >= len(places) {
		return
	}
	s := &c.steps[places[c.at[p.PF]]]
	switch p.State {
	case execute.Started:
		s.State = sriovv1.StepRunning
		return
	case execute.Done:
		s.State = sriovv1.StepDone
	case execute.Failed:
		s.State = sriovv1.StepFailed
		if p.Err != nil {
			s.Error = p.Err.Error()
		}
	case execute.Skipped:
		s.State = sriovv1.StepSkipped
	}
	if p.State != execute.Skipped {
		s.Took = &metav1.Duration{Duration: p.Took.Round(100 * time.Microsecond)}
	}
	c.at[p.PF]++
}

// shown is a copy for the status.
func (c *course) shown() []sriovv1.NodePlanStep { return slices.Clone(c.steps) }
