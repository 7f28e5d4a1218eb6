// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// PoolConfig checks a pool in itself, and against the nodes and the other pools.
func PoolConfig(p *sriovv1.SriovNetworkPoolConfig, f Facts) []Problem {
	o := &object{kind: sriovv1.KindSriovNetworkPoolConfig, meta: &p.ObjectMeta}
	s := &p.Spec
	if s.OvsHardwareOffloadConfig.Name != "" {
		if s.MaxUnavailable != nil {
			o.refuse("spec.maxUnavailable", "a pool with ovsHardwareOffloadConfig is not a drain pool", "set it in a pool of its own")
		}
		if s.NodeSelector != nil {
			o.refuse("spec.nodeSelector", "a pool with ovsHardwareOffloadConfig has the nodes of its MachineConfigPool", "set it in a pool of its own")
		}
	}
	choice(o, "spec.rdmaMode", s.RdmaMode, "", sriovv1.RdmaModeShared, sriovv1.RdmaModeExclusive)
	choice(o, "spec.disruptionScope", s.DisruptionScope, "", sriovv1.DisruptionScopeAffectedPods, sriovv1.DisruptionScopeNode)
	nodes, ok := members(p, f)
	if !ok {
		o.refuse("spec.nodeSelector", "it is no label selector", "correct its labels and operators")
	}
	checkMaxUnavailable(o, s.MaxUnavailable, len(nodes))
	checkOverlap(o, p, nodes, f)
	return o.sorted()
}

// members are the names of the nodes of a drain pool; false when its selector
// cannot be read.
func members(p *sriovv1.SriovNetworkPoolConfig, f Facts) ([]string, bool) {
	if p.Spec.OvsHardwareOffloadConfig.Name != "" {
		return nil, true
	}
	selector := labels.Everything()
	if p.Spec.NodeSelector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(p.Spec.NodeSelector); err != nil {
			return nil, false
		}
	}
	var out []string
	for _, n := range f.Nodes {
		if selector.Matches(labels.Set(n.Labels)) {
			out = append(out, n.Name)
		}
	}
	return out, true
}

func checkMaxUnavailable(o *object, most *intstr.IntOrString, nodes int) {
	if most == nil {
		return
	}
	const field, form = "spec.maxUnavailable", "use a number from 0 up, or a percentage from \"1%\" to \"100%\""
	if most.Type == intstr.Int {
		switch {
		case most.IntVal < 0:
			o.refuse(field, fmt.Sprintf("%d is negative", most.IntVal), form)
		case most.IntVal == 0:
			o.warn(field, "with 0 no node is ever changed", "use 1 or more")
		}
		return
	}
	digits, isPercent := strings.CutSuffix(most.StrVal, "%")
	percent, err := strconv.Atoi(digits)
	switch {
	case !isPercent || err != nil || percent < 1 || percent > 100:
		o.refuse(field, fmt.Sprintf("%q is neither a number nor a percentage", most.StrVal), form)
	case nodes > 0 && nodes*percent < 100:
		o.warn(field, fmt.Sprintf("%s of the %d nodes at present is less than one node; one node at a time is out", most.StrVal, nodes), "use a number")
	}
}

// checkOverlap warns about nodes that are in another pool, too.
func checkOverlap(o *object, p *sriovv1.SriovNetworkPoolConfig, nodes []string, f Facts) {
	found := &findings{}
	for i := range f.Pools {
		other := &f.Pools[i]
		if other.Name == p.Name {
			continue
		}
		theirs, _ := members(other, f)
		for _, node := range nodes {
			if slices.Contains(theirs, node) {
				found.add(Problem{
					Severity: Warning, Field: "spec.nodeSelector",
					Cause: fmt.Sprintf("nodes are in pool %s, too, and a node may be in one pool only", other.Name),
					Fix:   "make the selectors exclude each other",
				}, node)
			}
		}
	}
	found.tell(o)
}

// OperatorConfig checks the operator's settings. Before are the settings that the
// new ones replace; nil when there are none.
func OperatorConfig(c, before *sriovv1.SriovOperatorConfig, f Facts) []Problem {
	o := &object{kind: sriovv1.KindSriovOperatorConfig, meta: &c.ObjectMeta}
	s := &c.Spec
	if c.Name != sriovv1.DefaultConfigName {
		o.refuse("metadata.name", "only the object named "+sriovv1.DefaultConfigName+" is read", "name it "+sriovv1.DefaultConfigName)
	}
	if f.Namespace != "" && c.Namespace != f.Namespace {
		o.refuse("metadata.namespace", "only the object in the namespace "+f.Namespace+" is read", "create it there")
	}
	within(o, "spec.logLevel", s.LogLevel, 0, 2)
	choice(o, "spec.configurationMode", s.ConfigurationMode, "", sriovv1.ConfigurationModeDaemon, sriovv1.ConfigurationModeSystemd)
	choice(o, "spec.podEvictionPolicy", s.PodEvictionPolicy, "", sriovv1.PodEvictionPolicyEvict, sriovv1.PodEvictionPolicyDelete)
	for i, name := range s.DisablePlugins {
		choice(o, fmt.Sprintf("spec.disablePlugins[%d]", i), name, sriovv1.PluginMellanox)
	}
	if s.ResourcePrefix != "" && len(validation.IsDNS1123Subdomain(s.ResourcePrefix)) > 0 {
		o.refuse("spec.resourcePrefix", fmt.Sprintf("%q is no DNS domain", s.ResourcePrefix), "write it in lower case and without '/', like mellanox.com")
	}
	for _, gate := range unknownGates(s.FeatureGates) {
		o.warn("spec.featureGates["+gate+"]", "there is no such feature", "remove it, or correct the name")
	}
	checkDrain(o, c, before, f)
	return o.sorted()
}

// unknownGates are the features that do not exist, sorted.
func unknownGates(gates map[string]bool) []string {
	var out []string
	for gate := range gates {
		if !slices.Contains([]string{
			sriovv1.FeatureParallelNICConfig, sriovv1.FeatureResourceInjectorMatchCondition, sriovv1.FeatureMetricsExporter,
			sriovv1.FeatureManageSoftwareBridges, sriovv1.FeatureBlockDevicePluginUntilConfigured, sriovv1.FeatureMellanoxFirmwareReset,
		}, gate) {
			out = append(out, gate)
		}
	}
	slices.Sort(out)
	return out
}

func checkDrain(o *object, c, before *sriovv1.SriovOperatorConfig, f Facts) {
	if !c.Spec.DisableDrain {
		return
	}
	const field = "spec.disableDrain"
	busy := slices.IndexFunc(f.Nodes, func(n Node) bool { return n.InProgress })
	if before != nil && !before.Spec.DisableDrain && busy >= 0 {
		o.refuse(field, fmt.Sprintf("node %s is being changed, and its pods are about to leave", f.Nodes[busy].Name), "wait until every node has finished")
		return
	}
	o.warn(field, "nodes are changed without making pods leave; pods may lose their VFs while running", "")
}
