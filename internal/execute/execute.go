// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// Ledger keeps what was configured last.
type Ledger interface {
	// Claim writes a PF's record down; it is durable when Claim returns.
	Claim(ctx context.Context, r plan.Record) error
	// Release forgets a PF's record.
	Release(ctx context.Context, pf hw.PCIAddr) error
	// Holds reports whether exactly this record is kept.
	Holds(r plan.Record) bool
}

// Options are the executor's settings.
type Options struct {
	// Now is the clock that times the steps.
	Now func() time.Time
	// StepTimeout is the longest that one step may take.
	StepTimeout time.Duration
	// Observe is told of every step as it starts and ends; it may be nil. It is
	// called from several goroutines, one at a time.
	Observe func(Progress)
}

// State is how far a step is.
type State string

// The states of a step.
const (
	Started State = "started"
	Done    State = "done"
	Failed  State = "failed"
	// Skipped is a step whose lane failed before it.
	Skipped State = "skipped"
)

// Progress is one change of one step.
type Progress struct {
	// PF is the lane; zero for the steps of the node.
	PF    hw.PCIAddr
	Name  string
	Step  plan.Step
	State State
	Took  time.Duration
	Err   error
}

// StepError is a step that failed, with the kernel's cause in its chain.
type StepError struct {
	PF   hw.PCIAddr
	Step plan.Step
	Err  error
}

// Error names the lane, the action and the cause.
func (e *StepError) Error() string {
	if e.PF.IsZero() {
		return fmt.Sprintf("%s: %v", e.Step.Do.Does(), e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.PF, e.Step.Do.Does(), e.Err)
}

// Unwrap is the cause.
func (e *StepError) Unwrap() error { return e.Err }

// ErrStale says that the machine is no longer what the plan was made from. Look
// again and plan again.
var ErrStale = errors.New("the machine changed since it was looked at")

// Run carries the plan out: the node's first steps and beside them all lanes, then
// the node's last steps. A failing step stops its lane and no other. When ctx ends,
// the steps under way are finished and no other is begun. Run returns all failures
// joined, each a *StepError.
func Run(ctx context.Context, h host.Host, l Ledger, p plan.Plan, o Options) error {
	if p.Empty() {
		return nil
	}
	// A step that has begun is finished, so the watch outlives ctx.
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	bell, err := listen(watching, h.Events)
	if err != nil {
		return fmt.Errorf("watch the machine: %w", err)
	}
	r := &runner{hands: hands{host: h, ledger: l, bell: bell}, options: o, node: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		defer close(r.node)
		// What concerns the node fails alone: a lane that needs it says so itself.
		for _, s := range p.Before {
			r.step(ctx, plan.Lane{}, s)
		}
	})
	for _, lane := range p.Lanes {
		running.Go(func() { r.lane(ctx, lane) })
	}
	running.Wait()
	for _, s := range p.After {
		r.step(ctx, plan.Lane{}, s)
	}
	return errors.Join(r.errs...)
}

type runner struct {
	hands   hands
	options Options
	// node is closed when the node's first steps are done.
	node chan struct{}

	mu   sync.Mutex
	errs []error
}

func (r *runner) lane(ctx context.Context, lane plan.Lane) {
	for i, s := range lane.Steps {
		if r.step(ctx, lane, s) {
			continue
		}
		for _, rest := range lane.Steps[i+1:] {
			r.tell(Progress{PF: lane.PF, Name: lane.Name, Step: rest, State: Skipped})
		}
		return
	}
}

// step runs one step and reports whether it succeeded.
func (r *runner) step(ctx context.Context, lane plan.Lane, s plan.Step) bool {
	if s.AfterNode {
		<-r.node // the steps it waits for end with ctx
	}
	at := Progress{PF: lane.PF, Name: lane.Name, Step: s, State: Started}
	r.tell(at)
	begin := r.options.Now()
	err := r.attempt(ctx, s)
	at.Took, at.State = r.options.Now().Sub(begin), Done
	if err != nil {
		at.State, at.Err = Failed, &StepError{PF: lane.PF, Step: s, Err: err}
	}
	r.tell(at)
	return err == nil
}

func (r *runner) attempt(ctx context.Context, s plan.Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The kernel finishes what it was asked for; leaving it halfway would only
	// mean not to know how it ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.StepTimeout)
	defer cancel()
	return r.hands.perform(ctx, s.Do)
}

func (r *runner) tell(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Err != nil {
		r.errs = append(r.errs, p.Err)
	}
	if r.options.Observe != nil {
		r.options.Observe(p)
	}
}
