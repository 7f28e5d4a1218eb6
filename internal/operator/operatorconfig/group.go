// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// group does what is to be done for one group.
func (r *reconciler) group(ctx context.Context, d operand.Deployment, problems []operand.Problem) (verdict, error) {
	switch {
	case d.State == operand.Removed:
		left, err := r.clear(ctx, d.Delete)
		if err != nil || len(left) > 0 {
			return ending(d.Group, left), err
		}
		return turnedOff(d.Group), nil
	case d.State == operand.LeftAlone, slices.ContainsFunc(problems, isRefusal):
		return refused(d.Group, problems), nil
	}
	return r.install(ctx, d, problems)
}

func isRefusal(p operand.Problem) bool { return p.Severity == operand.Refusal }

// install brings the objects of a group to where they should be. They are all looked at
// before the first is written: a group is deployed as a whole or not at all.
func (r *reconciler) install(ctx context.Context, d operand.Deployment, warnings []operand.Problem) (verdict, error) {
	found, err := r.survey(ctx, slices.Concat(d.Apply, d.WhenServing))
	switch {
	case err != nil:
		return verdict{}, err
	case len(found.foreign) > 0:
		return foreign(d.Group, found.foreign), nil
	case len(found.ending) > 0:
		return ending(d.Group, found.ending), nil
	}
	if err := r.bring(ctx, d.Apply, found); err != nil {
		return verdict{}, err
	}
	if workload, ok := found.silent(d); ok {
		// What calls it already is kept right; whoever made it serve before may do so again.
		called := slices.DeleteFunc(slices.Clone(d.WhenServing), func(o operand.Object) bool { return found.live[operand.RefOf(o)] == nil })
		return notServing(d.Group, workload, len(called) > 0), r.bring(ctx, called, found)
	}
	if err := r.bring(ctx, d.WhenServing, found); err != nil {
		return verdict{}, err
	}
	left, err := r.clear(ctx, d.Delete)
	if err != nil || len(left) > 0 {
		return ending(d.Group, left), err
	}
	return deployedWell(d.Group, warnings), nil
}

// found is what there is of the objects of a group.
type found struct {
	live            map[operand.Ref]*unstructured.Unstructured
	foreign, ending []operand.Ref
}

func (r *reconciler) survey(ctx context.Context, objects []operand.Object) (found, error) {
	f := found{live: make(map[operand.Ref]*unstructured.Unstructured, len(objects))}
	for _, o := range objects {
		ref := operand.RefOf(o)
		live, err := r.store.at(ctx, ref)
		if err != nil {
			return f, err
		}
		switch {
		case live == nil:
			continue
		case !operand.Ours(live):
			f.foreign = append(f.foreign, ref)
		case live.GetDeletionTimestamp() != nil:
			f.ending = append(f.ending, ref)
		}
		f.live[ref] = live
	}
	return f, nil
}

func (r *reconciler) bring(ctx context.Context, objects []operand.Object, f found) error {
	for _, o := range objects {
		if err := r.store.bring(ctx, o, f.live[operand.RefOf(o)]); err != nil {
			return err
		}
	}
	return nil
}

// clear deletes what is the operator's, in order, and returns what is not gone yet.
func (r *reconciler) clear(ctx context.Context, refs []operand.Ref) ([]operand.Ref, error) {
	var left []operand.Ref
	for _, ref := range refs {
		gone, err := r.store.remove(ctx, ref)
		if err != nil {
			return nil, err
		}
		if !gone {
			left = append(left, ref)
		}
	}
	return left, nil
}

// silent is the workload of a group that is called and has no pod that could answer.
func (f found) silent(d operand.Deployment) (operand.Ref, bool) {
	if len(d.WhenServing) == 0 {
		return operand.Ref{}, false
	}
	for _, o := range d.Apply {
		if ref := operand.RefOf(o); isWorkload(ref.Kind) {
			return ref, readyPods(f.live[ref]) == 0
		}
	}
	return operand.Ref{}, false
}

func isWorkload(kind string) bool { return kind == "DaemonSet" || kind == "Deployment" }

// readyPods is how many pods of a DaemonSet or a Deployment are ready.
func readyPods(workload *unstructured.Unstructured) int64 {
	if workload == nil {
		return 0
	}
	for _, field := range []string{"numberReady", "readyReplicas"} {
		if n, ok, err := unstructured.NestedInt64(workload.Object, "status", field); ok && err == nil {
			return n
		}
	}
	return 0
}
