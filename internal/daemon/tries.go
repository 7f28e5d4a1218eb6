// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// try is how it went with one PF's lane; that of the zero address is the node's steps.
type try struct {
	count int
	err   error
	at    time.Time
	// until is when it may be tried again by itself.
	until time.Time
	// generation and basis are what failed: another wish or another machine is another
	// matter.
	generation int64
	basis      string
}

// settling is how long after a failure a lane's basis may still change because of what
// the failed try left behind: udev renames netdevs late.
const settling = 10 * time.Second

// tries are by PF.
type tries map[hw.PCIAddr]*try

// record notes what failed of a part of a plan.
func (t tries) record(part plan.Plan, err error, generation int64, now time.Time, pace Pace) {
	for pf, cause := range failures(part, err) {
		was := t[pf]
		if was == nil {
			was = &try{}
			t[pf] = was
		}
		was.count++
		was.err, was.at, was.generation, was.basis = cause, now, generation, ""
		was.until = now.Add(pace.Later)
		if was.count <= len(pace.Retries) {
			was.until = now.Add(pace.Retries[was.count-1])
		}
	}
}

// failures are the errors by PF. An error that is not of one step is of all lanes.
func failures(part plan.Plan, err error) map[hw.PCIAddr]error {
	out := map[hw.PCIAddr]error{}
	for _, e := range parts(err) {
		if step, ok := errors.AsType[*execute.StepError](e); ok {
			out[step.PF] = errors.Join(out[step.PF], e)
			continue
		}
		out[hw.PCIAddr{}] = errors.Join(out[hw.PCIAddr{}], e)
		for _, l := range part.Lanes {
			out[l.PF] = errors.Join(out[l.PF], e)
		}
	}
	return out
}

// parts are the errors that were joined.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// weigh says how it went with everything in the plan, and forgets the rest. The second
// result is when one of them may be tried again; zero for never.
func (t tries) weigh(p plan.Plan, generation int64, now time.Time, pace Pace) (map[hw.PCIAddr]decide.Try, time.Time) {
	out := map[hw.PCIAddr]decide.Try{}
	var next time.Time
	see := func(pf hw.PCIAddr, basis string, takes bool) {
		was := t[pf]
		if was == nil {
			return
		}
		verdict, until := was.now(generation, basis, takes, now, pace)
		if out[pf] = verdict; verdict == decide.Fresh && (was.generation != generation || was.basis != basis) {
			delete(t, pf)
		}
		if verdict != decide.Fresh && !until.IsZero() && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	present := map[hw.PCIAddr]bool{}
	for _, l := range p.Lanes {
		present[l.PF] = true
		see(l.PF, l.Basis, takes(l))
	}
	if len(p.Before)+len(p.After) > 0 {
		present[hw.PCIAddr{}] = true
		see(hw.PCIAddr{}, fmt.Sprint(p.Before, p.After), false)
	}
	maps.DeleteFunc(t, func(pf hw.PCIAddr, _ *try) bool { return !present[pf] })
	return out, next
}

// now is the verdict on a lane, and when it will be another by itself.
func (t *try) now(generation int64, basis string, takes bool, now time.Time, pace Pace) (decide.Try, time.Time) {
	if t.generation != generation {
		return decide.Fresh, time.Time{}
	}
	if now.Sub(t.at) < settling || t.basis == "" {
		t.basis = basis
	}
	if t.basis != basis {
		return decide.Fresh, time.Time{} // something has changed
	}
	switch {
	case t.count <= len(pace.Retries) && now.Before(t.until):
		return decide.Failing, t.until
	case t.count <= len(pace.Retries):
		return decide.Fresh, time.Time{}
	case takes: // it would make pods leave in vain once more
		return decide.Failed, time.Time{}
	case now.Before(t.until):
		return decide.Failed, t.until
	}
	return decide.Fresh, time.Time{}
}

// takes reports whether a lane takes VFs.
func takes(l plan.Lane) bool {
	return slices.ContainsFunc(l.Steps, func(s plan.Step) bool { return s.Class >= disruption.Pods })
}

// text is what failed, one line for each PF, sorted.
func (t tries) text() string {
	var out []string
	for _, pf := range slices.SortedFunc(maps.Keys(t), hw.PCIAddr.Compare) {
		for _, e := range parts(t[pf].err) {
			if line := e.Error(); !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "\n")
}
