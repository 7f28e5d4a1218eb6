// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

// progress shows how an execution goes: on a terminal a line for each lane,
// written over; elsewhere a line for each step that ended.
type progress struct {
	out      io.Writer
	terminal Terminal
	lanes    []*laneProgress
	byPF     map[hw.PCIAddr]*laneProgress
	drawn    bool
}

// laneProgress is how far a lane is. The steps of the node are a lane of their
// own, the one with the zero address.
type laneProgress struct {
	text     string
	of, next int
	done     int
	failed   bool
	took     time.Duration
}

func newProgress(a *app, p plan.Plan) *progress {
	out := &progress{out: a.Err, terminal: a.Terminal, byPF: map[hw.PCIAddr]*laneProgress{}}
	add := func(pf hw.PCIAddr, name string, steps int) {
		if steps == 0 {
			return
		}
		l := &laneProgress{of: steps, text: show.Progress{PF: pf, Name: name}.Lane()}
		out.lanes = append(out.lanes, l)
		out.byPF[pf] = l
	}
	add(hw.PCIAddr{}, "", len(p.Before)+len(p.After))
	for _, l := range p.Lanes {
		add(l.PF, l.Name, len(l.Steps))
	}
	return out
}

// observe is told of each step as it starts and ends, one at a time.
func (p *progress) observe(at execute.Progress) {
	l := p.byPF[at.PF]
	said := show.Progress{PF: at.PF, Name: at.Name, Of: l.of, Step: at.Step, Took: at.Took, Err: cause(at.Err)}
	switch at.State {
	case execute.Started:
		l.next++
		said.State = show.StepRunning
	case execute.Done:
		l.done++
		said.State = show.StepDone
	case execute.Failed:
		l.failed = true
		said.State = show.StepFailed
		if errors.Is(at.Err, context.Canceled) {
			said.State = show.StepSkipped
		}
	case execute.Skipped:
		l.next++
		said.State = show.StepSkipped
	}
	l.took += at.Took
	said.Number = l.next
	if at.State != execute.Skipped || !p.terminal.Err {
		l.text = said.String()
	}
	p.draw(l, said.State)
}

// errInterrupted stands for the steps that were not begun after an interrupt.
var errInterrupted = errors.New("stopped by an interrupt")

// failures are the failures of an execution, with all steps that an interrupt
// kept from being begun as one.
func failures(err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	var out []error
	interrupted := false
	for _, e := range joined.Unwrap() {
		if errors.Is(e, context.Canceled) {
			interrupted = true
			continue
		}
		out = append(out, e)
	}
	if interrupted {
		out = append(out, errInterrupted)
	}
	return errors.Join(out...)
}

// cause is the failure without the lane and the action, which stand beside it.
func cause(err error) error {
	if step, ok := errors.AsType[*execute.StepError](err); ok {
		return step.Err
	}
	return err
}

func (p *progress) draw(changed *laneProgress, state show.StepState) {
	if !p.terminal.Err {
		if state != show.StepRunning {
			say(p.out, "%s\n", changed.text)
		}
		return
	}
	var b strings.Builder
	if p.drawn {
		fmt.Fprintf(&b, "\x1b[%dA", len(p.lanes))
	}
	for _, l := range p.lanes {
		fmt.Fprintf(&b, "\r\x1b[K%s\n", show.Cut(l.text, p.terminal.Width))
	}
	p.drawn = true
	say(p.out, "%s", b.String())
}

// end leaves on a terminal how each lane ended.
func (p *progress) end() {
	if !p.terminal.Err {
		return
	}
	for _, l := range p.lanes {
		if !l.failed && l.done == l.of {
			name, _, _ := strings.Cut(l.text, "  ")
			l.text = fmt.Sprintf("%s  %d/%d  done  %s", name, l.done, l.of, show.Took(l.took))
		}
	}
	p.draw(nil, show.StepDone)
}

// summary is the last line. interrupt is why the execution was stopped; nil when
// it was not.
func (p *progress) summary(took time.Duration, interrupt error) string {
	done, of := 0, 0
	for _, l := range p.lanes {
		done, of = done+l.done, of+l.of
	}
	switch {
	case done == of:
		return fmt.Sprintf("done: %d steps in %s", done, show.Took(took))
	case interrupt != nil:
		return fmt.Sprintf("stopped: %d of %d steps done in %s, %d left; the same command goes on from there", done, of, show.Took(took), of-done)
	}
	return fmt.Sprintf("failed: %d of %d steps done in %s, %d left; the same command goes on from there", done, of, show.Took(took), of-done)
}
