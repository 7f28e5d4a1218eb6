// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/cli/cluster"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/forecast"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/show"
	"github.com/kubeovn/sriov-network-operator/internal/validate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// foretold is what a change would do to a cluster, as it is printed.
type foretold struct {
	// Change says of each object what becomes of it.
	Change []string `json:"change"`
	forecast.Forecast
}

// foretell says what the files, and the deletion of some policies, would do to nodes of
// the cluster; to all when none is named.
func (a *app) foretell(ctx context.Context, deleted, nodes []string) (*input, foretold, error) {
	in, err := a.load()
	if err != nil {
		return nil, foretold{}, err
	}
	c, o, err := a.ask(ctx, "", true)
	if err != nil {
		return nil, foretold{}, err
	}
	if err := known(&o, nodes); err != nil {
		return nil, foretold{}, err
	}
	after, change, err := a.overlay(in, &o, deleted)
	if err != nil {
		return nil, foretold{}, err
	}
	before := a.rules(&o)
	rules := fleet.New(after, before.Claims)
	facts := a.clusterFacts(&o, after, rules)
	for _, object := range in.set.Objects {
		placed(object.Value, a.global.namespace)
		a.judge(in, object, o.Config, facts)
	}
	out := foretold{Change: change}
	if !changesAnything(change) {
		out.Forecast = forecast.Sum(nil)
		return in, out, nil
	}
	groups, err := a.look(forecast.Change{Before: before, After: rules, Undrained: after.Config != nil && after.Config.Spec.DisableDrain}, &o, nodes)
	if err != nil {
		return nil, out, err
	}
	if err := a.holders(ctx, c, &o, groups); err != nil {
		return nil, out, err
	}
	out.Forecast = forecast.Sum(groups)
	return in, out, nil
}

// look asks of each node what would happen to it.
func (a *app) look(change forecast.Change, o *cluster.Objects, only []string) ([]forecast.Group, error) {
	var outlooks []forecast.Outlook
	states := map[string]*sriovv1.SriovNetworkNodeState{}
	for i := range o.States {
		states[o.States[i].Name] = &o.States[i]
	}
	for _, n := range o.Nodes {
		if len(only) > 0 && !slices.Contains(only, n.Name) {
			continue
		}
		out, listed, err := change.Look(forecast.Node{Node: n, State: states[n.Name]})
		if err != nil {
			return nil, err
		}
		if listed {
			outlooks = append(outlooks, out)
		}
	}
	return forecast.Gather(outlooks)
}

// holders finds the pods that the change disturbs. That they may not be read keeps the
// rest from nobody.
func (a *app) holders(ctx context.Context, c theCluster, o *cluster.Objects, groups []forecast.Group) error {
	var nodes []string
	for _, g := range groups {
		if g.Disturbs() {
			nodes = append(nodes, g.Nodes...)
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	pods, err := c.Pods(ctx, nodes)
	if err != nil && !apierrors.IsForbidden(err) {
		return err
	}
	on := map[string][]corev1.Pod{}
	for i := range pods {
		on[pods[i].Spec.NodeName] = append(on[pods[i].Spec.NodeName], pods[i])
	}
	for i := range groups {
		g := &groups[i]
		switch {
		case !g.Disturbs():
		case err != nil:
			g.PodsUnknown = err.Error()
		default:
			for _, n := range g.Nodes {
				g.Pods = append(g.Pods, g.Of(n).Holders(o.State(n), on[n], o.Prefix())...)
			}
		}
	}
	return nil
}

// What becomes of an object; each ends a line about it.
const (
	isNew     = "is new"
	isChanged = "is changed"
	isDeleted = "is deleted"
	asItIs    = "is as it is in the cluster"
)

// overlay lays the files over the cluster's objects: an object takes the place of the one
// of its name.
func (a *app) overlay(in *input, o *cluster.Objects, deleted []string) (fleet.Objects, []string, error) {
	out := o.Objects
	var change []string
	for _, object := range in.set.Objects {
		if object.Namespace != "" && object.Namespace != a.global.namespace {
			continue // a note was made when it was read
		}
		become := ""
		switch v := object.Value.(type) {
		case *sriovv1.SriovNetworkNodePolicy:
			out.Policies, become = lay(out.Policies, *defaulted(v), func(p *sriovv1.SriovNetworkNodePolicy) (string, any) { return p.Name, p.Spec })
		case *sriovv1.SriovNetworkPoolConfig:
			v.Spec.DisruptionScope = cmp.Or(v.Spec.DisruptionScope, sriovv1.DisruptionScopeAffectedPods)
			out.Pools, become = lay(out.Pools, *v, func(p *sriovv1.SriovNetworkPoolConfig) (string, any) { return p.Name, p.Spec })
		case *corev1.ConfigMap:
			out.ConfigMaps, become = lay(out.ConfigMaps, *v, func(c *corev1.ConfigMap) (string, any) { return c.Name, c.Data })
		case *sriovv1.SriovOperatorConfig:
			if v.Name != sriovv1.DefaultConfigName {
				continue
			}
			out.Config, become = v, isChanged
			if o.Config == nil {
				become = isNew
			} else if equality.Semantic.DeepEqual(o.Config.Spec, v.Spec) {
				become = asItIs
			}
		default:
			continue
		}
		object.Namespace = a.global.namespace
		change = append(change, object.Label()+" "+become)
	}
	for _, name := range deleted {
		i := slices.IndexFunc(out.Policies, func(p sriovv1.SriovNetworkNodePolicy) bool { return p.Name == name })
		if i < 0 {
			return out, nil, unknown("--delete "+name+": the cluster has no such policy", name, policyNames(o, ""))
		}
		out.Policies = slices.Delete(slices.Clone(out.Policies), i, i+1)
		change = append(change, fmt.Sprintf("%s %s/%s %s", sriovv1.KindSriovNetworkNodePolicy, a.global.namespace, name, isDeleted))
	}
	return out, change, nil
}

// lay puts an object in the place of the one of its name, and says what becomes of it.
func lay[T any](over []T, object T, of func(*T) (string, any)) ([]T, string) {
	name, is := of(&object)
	out := slices.Clone(over)
	for i := range out {
		if n, was := of(&out[i]); n == name {
			out[i] = object
			if equality.Semantic.DeepEqual(was, is) {
				return out, asItIs
			}
			return out, isChanged
		}
	}
	return append(out, object), isNew
}

// defaulted is the policy with the defaults that the API fills in.
func defaulted(p *sriovv1.SriovNetworkNodePolicy) *sriovv1.SriovNetworkNodePolicy {
	out := p.DeepCopy()
	priority := nodestate.Priority(p)
	out.Spec.Priority = &priority
	out.Spec.DeviceType = cmp.Or(p.Spec.DeviceType, sriovv1.DeviceTypeNetdevice)
	return out
}

// clusterFacts are what the cluster tells besides the object that is looked at.
func (a *app) clusterFacts(o *cluster.Objects, after fleet.Objects, rules *fleet.Rules) validate.Facts {
	f := validate.Facts{
		Namespace: a.global.namespace, NodeSelector: rules.NodeSelector, NICs: rules.NICs, Policies: after.Policies, Pools: after.Pools,
	}
	states := map[string]*sriovv1.SriovNetworkNodeState{}
	for i := range o.States {
		states[o.States[i].Name] = &o.States[i]
	}
	for _, n := range o.Nodes {
		node := validate.Node{Node: n}
		if s := states[n.Name]; s != nil {
			node.Inventory, node.InProgress = wire.Inventory(s.Status), s.Status.SyncStatus == sriovv1.SyncStatusInProgress
		}
		f.Nodes = append(f.Nodes, node)
	}
	return f
}

// placed makes an object without a namespace one of the operator's, where it would be
// read.
func placed(o runtime.Object, namespace string) {
	if meta, ok := o.(interface {
		GetNamespace() string
		SetNamespace(string)
	}); ok && meta.GetNamespace() == "" {
		meta.SetNamespace(namespace)
	}
}

// planNodes is plan with a cluster.
func (a *app) planNodes(ctx context.Context, deleted, nodes []string, detailed bool) error {
	if a.global.output == asScript {
		return errors.New("plan -o script is for one machine; leave out what chooses a cluster")
	}
	in, out, err := a.foretell(ctx, deleted, nodes)
	if err != nil {
		return err
	}
	if err := a.printForetold(out); err != nil {
		return err
	}
	switch {
	case in.bad > 0 || out.Blocked > 0:
		return errSaid
	case detailed && out.Changes():
		return errChanges
	}
	return nil
}

func (a *app) printForetold(out foretold) error {
	if a.global.output != asText {
		return a.object(out)
	}
	changes := changesAnything(out.Change)
	if len(out.Change) == 0 {
		out.Change = []string{"nothing that nodes depend on"}
	}
	text := "the change:\n  " + strings.Join(out.Change, "\n  ") + "\n"
	if !changes {
		return a.print(text + "\n" + show.NothingToDo + "\n")
	}
	return a.print(text + "\n" + show.Forecast(out.Forecast))
}

func changesAnything(change []string) bool {
	return slices.ContainsFunc(change, func(s string) bool { return !strings.HasSuffix(s, asItIs) })
}
