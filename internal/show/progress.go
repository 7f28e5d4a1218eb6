// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// StepState is how far a step is.
type StepState int

// The states of a step.
const (
	StepRunning StepState = iota
	StepDone
	StepFailed
	StepSkipped
)

// Progress is one step on its way.
type Progress struct {
	// PF and Name are the lane; PF is zero for the steps of the node.
	PF   hw.PCIAddr
	Name string
	// Number counts the steps of the lane from 1 to Of.
	Number, Of int
	Step       plan.Step
	State      StepState
	Took       time.Duration
	// Err is why the step failed.
	Err error
}

// Lane names the lane.
func (p Progress) Lane() string {
	if p.PF.IsZero() {
		return "the node"
	}
	return Port(p.PF, p.Name)
}

// String is the step in one line.
func (p Progress) String() string {
	text := fmt.Sprintf("%s  %d/%d  %s", p.Lane(), p.Number, p.Of, Action(p.Step.Do))
	switch p.State {
	case StepRunning:
		return text + " …"
	case StepDone:
		return fmt.Sprintf("%s  %s", text, Took(p.Took))
	case StepFailed:
		return fmt.Sprintf("%s  failed: %s", text, line(fmt.Sprint(p.Err)))
	case StepSkipped:
		return text + "  not done"
	}
	return text
}

// Took is a duration for people, with three digits that matter.
func Took(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// Cut makes text fit a terminal of this width; zero or less is no limit.
func Cut(text string, width int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}
