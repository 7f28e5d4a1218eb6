// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// input is everything that was given in files.
type input struct {
	set      manifest.Set
	policies []sriovv1.SriovNetworkNodePolicy
	node     nodestate.Node
	config   *sriovv1.SriovOperatorConfig
	rdma     hw.RDMAMode
	nics     catalog.Table
	claims   claims.Claims
	// bad is how many problems were printed. Of these, badKeys are about keys of
	// ConfigMaps, of which each is about one node or those without a key.
	bad, badKeys int
}

// load reads the files and prints what is wrong with them. What could be read
// counts. The error is for a file of another flag.
func (a *app) load() (*input, error) {
	in := &input{set: manifest.Read(a.global.files, a.In), nics: catalog.Default(), node: nodestate.Node{LabelsUnknown: true}}
	for _, p := range in.set.Problems {
		a.complain("%v", p)
	}
	in.bad = len(in.set.Problems)
	for _, n := range in.set.Notes {
		a.note("%s", n)
	}
	for _, p := range manifest.Of[*sriovv1.SriovNetworkNodePolicy](in.set) {
		in.policies = append(in.policies, *p)
		if p.Namespace != "" && p.Namespace != a.global.namespace {
			a.note("policy %s is in namespace %s; an operator in %s does not read it (name yours with --namespace)", p.Name, p.Namespace, a.global.namespace)
		}
	}
	for _, c := range manifest.Of[*sriovv1.SriovOperatorConfig](in.set) {
		if c.Name == sriovv1.DefaultConfigName {
			in.config = c
		} else {
			a.note("SriovOperatorConfig %s is not read; the one named %s is", c.Name, sriovv1.DefaultConfigName)
		}
	}
	a.loadClaims(in)
	return in, a.loadNode(in)
}

// loadNode reads the file of --node.
func (a *app) loadNode(in *input) error {
	if a.global.node == "" {
		return a.pool(in)
	}
	meta, err := manifest.Meta(a.global.node, "v1", "Node")
	if err != nil {
		return fmt.Errorf("read the node: %w", err)
	}
	in.node = nodestate.Node{Name: meta.Name, Labels: meta.Labels}
	return a.pool(in)
}

// pool finds the RDMA mode of the node's pool.
func (a *app) pool(in *input) error {
	for _, pool := range manifest.Of[*sriovv1.SriovNetworkPoolConfig](in.set) {
		if pool.Spec.OvsHardwareOffloadConfig.Name != "" || pool.Spec.RdmaMode == "" {
			continue
		}
		if in.node.LabelsUnknown && pool.Spec.NodeSelector != nil {
			a.note("pool %s is left out: whether the node is in it is not known without --node", pool.Name)
			continue
		}
		selector, err := selectorOf(pool)
		if err != nil {
			return err
		}
		if !selector.Matches(labels.Set(in.node.Labels)) {
			continue
		}
		mode := hw.RDMAMode(pool.Spec.RdmaMode)
		if in.rdma != "" && in.rdma != mode {
			return fmt.Errorf("the node is in two pools that disagree on rdmaMode: %s and %s; give each node one pool", in.rdma, mode)
		}
		in.rdma = mode
	}
	return nil
}

// selectorOf is the pool's node selector; none selects every node.
func selectorOf(pool *sriovv1.SriovNetworkPoolConfig) (labels.Selector, error) {
	if pool.Spec.NodeSelector == nil {
		return labels.Everything(), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(pool.Spec.NodeSelector)
	if err != nil {
		return nil, fmt.Errorf("SriovNetworkPoolConfig %s: spec.nodeSelector: %w", pool.Name, err)
	}
	return selector, nil
}

// wish is what the files ask for. It is said once that node selectors were not
// looked at.
func (a *app) wish(in *input) converge.Wish {
	options := nodestate.Options{Catalog: in.nics}
	if in.config != nil {
		options.NodeSelector = in.config.Spec.ConfigDaemonNodeSelector
	}
	if in.node.LabelsUnknown && selective(in.policies) {
		a.note("the node's labels are not known, so every nodeSelector counts as matching; name the node's object with --node")
	}
	claim := in.claim()
	w := converge.Wish{
		Policies: nodestate.Compile(in.policies, options).With(claim.Policies()), Node: in.node, RDMAMode: in.rdma,
		Uncertain: in.bad > in.badKeys || claim.Standing == claims.Unknown,
	}
	for i := range in.policies {
		w.Uncertain = w.Uncertain || len(nodestate.Check(&in.policies[i])) > 0
	}
	return w
}

func selective(policies []sriovv1.SriovNetworkNodePolicy) bool {
	for i := range policies {
		if len(policies[i].Spec.NodeSelector) > 0 {
			return true
		}
	}
	return false
}

// prefix is the resource prefix: the flag's, the configuration's, the default.
func (a *app) prefix(in *input) string {
	configured := ""
	if in.config != nil {
		configured = in.config.Spec.ResourcePrefix
	}
	return cmp.Or(a.global.prefix, configured, sriovv1.DefaultResourcePrefix)
}

// report prints what a trace has to say about policies: what is wrong counts as
// bad, what only does not apply or lost is a note.
func (a *app) report(in *input, t nodestate.Trace) {
	for _, p := range t.Policies {
		a.reportPolicy(in, p)
	}
	for _, pf := range t.PFs {
		a.reportPF(in, pf)
	}
}

func (a *app) reportPolicy(in *input, p nodestate.PolicyTrace) {
	object := in.policy(p.Policy)
	for _, problem := range p.Problems {
		found := object.Problem("spec."+problem.Field, problem.Cause, problem.Fix)
		if p.Reason == reason.BadPolicy {
			a.complain("%v", found)
			in.bad++
		} else {
			a.note("%v", found)
		}
	}
	// What a guard refuses is told with its PF.
	if p.Reason != reason.Won && p.Reason != reason.BadPolicy && p.Reason != reason.NICTypeDiffers {
		a.note("%s", withFix(p.Sentence(), p.Reason))
	}
}

func (a *app) reportPF(in *input, pf nodestate.PFTrace) {
	for _, o := range pf.Outcomes {
		if o.Reason == reason.NICTypeDiffers {
			a.complain("%s", withFix(pf.Sentence(o), o.Reason))
			in.bad++
		}
		// Losses say more about who lost to whom.
		if o.Reason == reason.BadPolicy || o.Reason == reason.NotListed || o.Reason == reason.RangeUnreachable {
			a.note("%s", withFix(pf.Sentence(o), o.Reason))
		}
	}
	for _, l := range pf.Losses {
		a.note("%s", pf.LossSentence(l))
	}
	for _, n := range pf.Notices {
		a.note("%s", withFix(pf.NoticeSentence(n), n.Reason))
	}
	if pf.Rejected != "" {
		a.complain("%s is left out: %s", pf.Label(), pf.Rejected)
		in.bad++
	}
}

func withFix(text string, r reason.Reason) string {
	if fix := r.Fix(); fix != "" {
		return strings.TrimSuffix(text, ".") + "; fix: " + fix
	}
	return text
}

// policy finds the policy's object; without one, the problem has no place.
func (in *input) policy(name string) manifest.Object {
	for _, o := range in.set.Objects {
		if o.Kind == sriovv1.KindSriovNetworkNodePolicy && o.Name == name {
			return o
		}
	}
	return manifest.Object{Kind: sriovv1.KindSriovNetworkNodePolicy, Name: name}
}

// stateFile reads the inventory from the file of --state, and the node's name.
func (a *app) stateFile() (hw.Inventory, string, error) {
	set := manifest.Read([]string{a.global.state}, a.In)
	if len(set.Problems) > 0 {
		return hw.Inventory{}, "", fmt.Errorf("read the node state: %w", set.Problems[0])
	}
	states := manifest.Of[*sriovv1.SriovNetworkNodeState](set)
	if len(states) != 1 {
		return hw.Inventory{}, "", fmt.Errorf("read the node state: %s holds %d %s objects, and one is needed", a.global.state, len(states), sriovv1.KindSriovNetworkNodeState)
	}
	inv := wire.Inventory(states[0].Status)
	for _, p := range inv.Problems {
		a.note("%s: %s", a.global.state, p)
	}
	return inv, states[0].Name, nil
}
