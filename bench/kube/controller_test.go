// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// BenchmarkOperator measures the operator, a process of its own, against the API server
// of the rig, by what the API server wrote down about its requests.
func BenchmarkOperator(b *testing.B) {
	for _, size := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("%d nodes", size), func(b *testing.B) {
			f := newFleet(b, size)
			b.Run("policy change", func(b *testing.B) { f.on(b).policyChange() })
			b.Run("label of one node", func(b *testing.B) { f.on(b).labelChange() })
			b.Run("20 policies at once", func(b *testing.B) { f.on(b).manyPolicies() })
			b.Run("kinds of write", func(b *testing.B) { f.on(b).kindsOfWrite() })
			b.Run("idle", func(b *testing.B) { f.on(b).idle() })
			b.Run("memory", func(b *testing.B) { f.on(b).remembered() })
		})
	}
}

// on is the fleet for another benchmark.
func (f *fleet) on(b *testing.B) *fleet {
	b.Helper()
	other := *f
	other.b = b
	return &other
}

// policyChange measures how long it takes from a policy's change until the last node
// state is written, against the floor: as many requests at a time write the same specs
// to the same node states in another namespace. What takes turns has the machine for
// itself.
func (f *fleet) policyChange() {
	f.copy()
	var ours, floors, ratios, cpus []float64
	for round := 0; f.b.Loop(); round++ {
		a := f.listen(operatorAgent)
		used := f.used()
		began := f.change(f.policy(0).Name, func(s *sriovv1.SriovNetworkNodePolicySpec) {
			// Another range, so that what the device plugin reads changes too.
			s.NumVfs = 4 + round%4
			s.NicSelector.PfNames = []string{fmt.Sprintf("%s#0-%d", netdev(0), s.NumVfs-1)}
		})
		last, writes := a.states(f.size, 5*time.Minute)
		work := f.used().since(used)
		rest := a.rest(3 * time.Second)
		a.close()
		if writes != f.size {
			f.b.Errorf("%d writes of %d node states", writes, f.size)
		}
		floor, floorWork := f.floor()
		took := last.Sub(began)
		ours, floors, ratios = append(ours, took.Seconds()), append(floors, floor.Seconds()), append(ratios, took.Seconds()/floor.Seconds())
		cpus = append(cpus, work.total()/floorWork.total())
		now, most := f.memory()
		f.b.Logf("floor %.2f s (%v), operator %.2f s (%v), %.0f MiB, at most %.0f; load %s; then %v",
			floor.Seconds(), floorWork, took.Seconds(), work, now, most, f.load(), rest)
	}
	f.report(map[string]float64{"floor-s": median(floors), "operator-s": median(ours), "ratio": median(ratios), "cpu-ratio": median(cpus)})
}

// change changes a policy and returns when that began.
func (f *fleet) change(policy string, edit func(*sriovv1.SriovNetworkNodePolicySpec)) time.Time {
	f.b.Helper()
	p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: f.meta(policy)}
	for {
		if err := f.api.Get(f.b.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			f.b.Fatal(err)
		}
		edit(&p.Spec)
		began := time.Now()
		err := f.api.Update(f.b.Context(), p)
		if err == nil {
			return began
		}
		if !apierrors.IsConflict(err) {
			f.b.Fatal(err)
		}
	}
}

// floor writes the specs that the operator has written, and returns how long that takes
// and what work it is.
// The objects are read and made before; each is one update with nothing in it that need
// not be there: of the kinds of write this is the one that costs the API server least.
func (f *fleet) floor() (time.Duration, work) {
	f.b.Helper()
	writer := f.writer()
	specs, objects := f.states(f.ns), f.states(f.floorNS)
	for i := range objects {
		objects[i].Spec, objects[i].Status, objects[i].ManagedFields = specs[i].Spec, sriovv1.SriovNetworkNodeStateStatus{}, nil
	}
	used, began := f.used(), time.Now()
	f.parallel(names(objects), func(ctx context.Context, i int, _ string) error { return writer.Update(ctx, &objects[i]) })
	took := time.Since(began)
	work := f.used().since(used)
	for i, state := range f.states(f.floorNS) {
		if !reflect.DeepEqual(state.Spec, specs[i].Spec) {
			f.b.Fatalf("node state %s is not as the floor wrote it", state.Name)
		}
	}
	return took, work
}

// writer is a client that does nothing else.
func (f *fleet) writer() client.Client {
	f.b.Helper()
	config := f.cluster.Config()
	config.UserAgent = floorAgent
	scheme, err := kube.Scheme()
	if err != nil {
		f.b.Fatal(err)
	}
	writer, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		f.b.Fatal(err)
	}
	return writer
}

// kindsOfWrite measures what the ways of writing a spec cost the API server: to each node
// state of the floor, as many at a time as there are workers.
func (f *fleet) kindsOfWrite() {
	f.copy()
	writer := f.writer()
	kinds := []struct {
		name  string
		write func(context.Context, *sriovv1.SriovNetworkNodeState) error
	}{
		{"update", func(ctx context.Context, s *sriovv1.SriovNetworkNodeState) error {
			s.Status, s.ManagedFields = sriovv1.SriovNetworkNodeStateStatus{}, nil
			return writer.Update(ctx, s)
		}},
		{"update-of-all", func(ctx context.Context, s *sriovv1.SriovNetworkNodeState) error { return writer.Update(ctx, s) }},
		{"json-patch", func(ctx context.Context, s *sriovv1.SriovNetworkNodeState) error {
			text, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec", "value": s.Spec}})
			if err != nil {
				return err
			}
			return writer.Patch(ctx, s, client.RawPatch(types.JSONPatchType, text))
		}},
		{"apply", func(ctx context.Context, s *sriovv1.SriovNetworkNodeState) error {
			want := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}, Spec: s.Spec}
			want.SetGroupVersionKind(sriovv1.SchemeGroupVersion.WithKind(sriovv1.KindSriovNetworkNodeState))
			fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
			if err != nil {
				return err
			}
			u := &unstructured.Unstructured{Object: fields}
			return writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("floor"), client.ForceOwnership)
		}},
	}
	took := map[string][]float64{}
	for round := 0; f.b.Loop(); round++ {
		for i, kind := range kinds {
			objects := f.states(f.floorNS)
			for j := range objects {
				objects[j].Spec.Interfaces[0].NumVfs = 20 + (round+i)%2
			}
			began := time.Now()
			f.parallel(names(objects), func(ctx context.Context, i int, _ string) error { return kind.write(ctx, &objects[i]) })
			took[kind.name+"-s"] = append(took[kind.name+"-s"], time.Since(began).Seconds())
		}
	}
	figures := map[string]float64{}
	for kind, all := range took {
		figures[kind] = median(all)
	}
	f.report(figures)
}

// labelChange measures what is asked for when the label of one node lets a policy select
// it: what this node needs, and nothing else.
func (f *fleet) labelChange() {
	const label = "bench.example/special"
	special := f.policy(1)
	special.Name, special.Spec.ResourceName, special.Spec.NodeSelector = "special", "special", map[string]string{label: "yes"}
	special.Spec.Priority = new(10)
	f.create(special)
	a := f.listen(operatorAgent)
	defer a.close()
	a.rest(3 * time.Second)
	var took []float64
	for round := 0; f.b.Loop(); round++ {
		began := f.label(label, round%2 == 0)
		last, _ := a.states(1, time.Minute)
		took = append(took, 1000*last.Sub(began).Seconds())
		want := map[string]int{
			"patch configmaps": 1, "patch sriovnetworknodepolicies/status": 2, // both policies for the port
		}
		if round%2 == 0 {
			want["create events"] = 1 // about the policy that loses
		}
		if err := differ(want, a.rest(3*time.Second)); err != nil {
			f.b.Errorf("besides the write of one node state: %v", err)
		}
	}
	if err := f.api.Delete(f.b.Context(), special); err != nil {
		f.b.Fatal(err)
	}
	a.rest(3 * time.Second)
	f.report(map[string]float64{"written-ms": median(took)})
}

// label gives a node a label or takes it away.
func (f *fleet) label(label string, set bool) time.Time {
	f.b.Helper()
	value := new("yes")
	if !set {
		value = nil
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]*string{label: value}}})
	if err != nil {
		f.b.Fatal(err)
	}
	began := time.Now()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%04d", f.size/2)}}
	if err := f.api.Patch(f.b.Context(), node, client.RawPatch(types.MergePatchType, text)); err != nil {
		f.b.Fatal(err)
	}
	return began
}

// manyPolicies measures how many writes 20 policies are that come at once, and how many
// when they go.
func (f *fleet) manyPolicies() {
	var policies []*sriovv1.SriovNetworkNodePolicy
	for i := range 20 {
		p := f.policy(3)
		p.Name, p.Spec.ResourceName = fmt.Sprintf("more-%02d", i), fmt.Sprintf("more_%02d", i)
		p.Spec.NumVfs = 40
		p.Spec.NicSelector.PfNames = []string{fmt.Sprintf("%s#%d-%d", netdev(3), 8+i, 8+i)}
		policies = append(policies, p)
	}
	var took []float64
	for f.b.Loop() {
		a := f.listen(operatorAgent)
		began := time.Now()
		f.atOnce(policies, func(ctx context.Context, p *sriovv1.SriovNetworkNodePolicy) error {
			return f.api.Create(ctx, p.DeepCopy())
		})
		last, writes := a.states(f.size, 5*time.Minute)
		seen := a.rest(3 * time.Second)
		took = append(took, last.Sub(began).Seconds())
		if more := seen["update sriovnetworknodestates"]; writes+more != f.size {
			f.b.Errorf("%d writes of %d node states for 20 policies that come at once", writes+more, f.size)
		}
		f.b.Logf("%d writes of node states, then %v", writes, seen)
		f.atOnce(policies, func(ctx context.Context, p *sriovv1.SriovNetworkNodePolicy) error {
			return f.api.Delete(ctx, p.DeepCopy())
		})
		a.states(f.size, 5*time.Minute)
		a.rest(3 * time.Second)
		a.close()
	}
	f.report(map[string]float64{"written-s": median(took)})
}

func (f *fleet) atOnce(policies []*sriovv1.SriovNetworkNodePolicy, do func(context.Context, *sriovv1.SriovNetworkNodePolicy) error) {
	f.b.Helper()
	f.parallel(make([]string, len(policies)), func(ctx context.Context, i int, _ string) error { return do(ctx, policies[i]) })
}

// idle measures what an operator asks for that has nothing to do.
func (f *fleet) idle() {
	a := f.listen(operatorAgent)
	defer a.close()
	a.rest(5 * time.Second)
	const while = 10 * time.Second
	for f.b.Loop() {
		for kind, count := range a.during(while) {
			f.b.Logf("in %s: %d %s", while, count, kind)
			if kind != "get leases" && kind != "update leases" && kind[:len("watch")] != "watch" {
				f.b.Errorf("%d %s without a cause", count, kind)
			}
		}
	}
	f.report(nil)
}

// remembered measures the operator's memory after all that went before, and that of one
// which begins where everything is there already.
func (f *fleet) remembered() {
	now, most := f.memory()
	var begins, peaks []float64
	for f.b.Loop() {
		f.stop()
		a := f.listen(operatorAgent)
		f.start()
		a.rest(5 * time.Second)
		a.close()
		begin, peak := f.memory()
		begins, peaks = append(begins, begin), append(peaks, peak)
	}
	f.report(map[string]float64{
		"RSS-MiB": now, "peak-RSS-MiB": most, "restart-RSS-MiB": median(begins), "restart-peak-RSS-MiB": median(peaks),
		"first-states-s": f.first.Seconds(),
	})
}

// report reports figures instead of the time of an operation.
func (f *fleet) report(figures map[string]float64) {
	f.b.ReportMetric(0, "ns/op")
	for unit, value := range figures {
		f.b.ReportMetric(value, unit)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
