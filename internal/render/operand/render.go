// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// renderer is one rendering. The methods named for a group make its objects and note
// what is wrong with its settings.
type renderer struct {
	Settings
	spec     sriovv1.SriovOperatorConfigSpec
	owner    []metav1.OwnerReference
	gates    gates
	problems []Problem
}

// Render turns the operator configuration into what is to be done for each group, and
// what is wrong with it. Objects with a namespace are owned by the configuration when
// that has a UID. The same arguments give the same result.
func Render(config sriovv1.SriovOperatorConfig, s Settings) (Objects, []Problem) {
	r := newRenderer(config, s)
	var out Objects
	for _, g := range Groups() {
		out.Deployments = append(out.Deployments, r.deploy(g))
	}
	return out, r.problems
}

// Removal is what is to be done when the operator configuration goes: every group is
// Removed. Owner references cannot do it alone, because objects without a namespace
// have no owner with one.
func Removal(s Settings) Objects {
	r := newRenderer(sriovv1.SriovOperatorConfig{}, s)
	var out Objects
	for _, g := range Groups() {
		out.Deployments = append(out.Deployments, Deployment{Group: g, State: Removed, Delete: r.catalogue(g)})
	}
	return out
}

func newRenderer(config sriovv1.SriovOperatorConfig, s Settings) *renderer {
	r := &renderer{Settings: s.withDefaults(), spec: config.Spec}
	if config.UID != "" {
		r.owner = []metav1.OwnerReference{OwnerReference(&config)}
	}
	var unknown []string
	r.gates, unknown = newGates(config.Spec.FeatureGates)
	for _, name := range unknown {
		r.warn(ConfigDaemon, "spec.featureGates["+name+"]", "is not a feature gate and has no effect", "known are "+gateNames())
	}
	if config.Spec.EnableOvsOffload {
		r.warn(ConfigDaemon, "spec.enableOvsOffload", "has no effect", "set eSwitchMode: switchdev in a policy")
	}
	return r
}

// deploy is what is to be done for one group.
func (r *renderer) deploy(g Group) Deployment {
	if !r.wanted(g) {
		return Deployment{Group: g, State: Removed, Delete: r.catalogue(g)}
	}
	before := len(r.problems)
	apply, late := r.objects(g)
	if slices.ContainsFunc(r.problems[before:], func(p Problem) bool { return p.Severity == Refusal }) {
		return Deployment{Group: g, State: LeftAlone}
	}
	stays := map[Ref]bool{}
	for _, o := range slices.Concat(apply, late) {
		stays[RefOf(o)] = true
	}
	for _, ref := range r.secrets(g) {
		stays[ref] = true
	}
	leftovers := slices.DeleteFunc(r.catalogue(g), func(ref Ref) bool { return stays[ref] })
	return Deployment{Group: g, State: Deployed, Apply: apply, WhenServing: late, Delete: leftovers}
}

// wanted reports whether the configuration asks for the group.
func (r *renderer) wanted(g Group) bool {
	switch g {
	case ConfigDaemon, DevicePlugin:
		return true
	case Injector:
		return r.spec.EnableInjector
	case Exporter:
		return r.gates.exporter
	case Webhook:
		return r.spec.EnableOperatorWebhook
	}
	return false
}

// objects are those of a group: to apply now, and once it serves.
func (r *renderer) objects(g Group) (apply, late []Object) {
	switch g {
	case ConfigDaemon:
		return r.daemon(), nil
	case DevicePlugin:
		return r.devicePlugin(), nil
	case Injector:
		return r.injector()
	case Exporter:
		return r.exporter(), nil
	case Webhook:
		return r.webhook()
	}
	return nil, nil
}

// catalogue names every object that a group can have, whatever the settings, in the
// order in which they are deleted. Kinds that the cluster lacks are left out.
func (r *renderer) catalogue(g Group) []Ref {
	switch g {
	case ConfigDaemon:
		return r.refs(daemonName, kindDaemonSet, kindPolicyBinding, kindPolicy,
			kindRoleBinding, kindRole, kindClusterRoleBinding, kindClusterRole, kindServiceAccount)
	case DevicePlugin:
		return slices.Concat(
			r.refs(pluginName, kindDaemonSet, kindPolicyBinding, kindPolicy, kindRoleBinding),
			r.refs(pluginSCCRole, kindRole),
			r.refs(pluginPodAccess, kindRoleBinding, kindRole),
			r.refs(pluginName, kindServiceAccount),
		)
	case Injector:
		return slices.Concat(
			r.refs(injectorConfig, kindMutatingWebhook),
			r.refs(injectorName, kindDaemonSet, kindDeployment),
			r.refs(injectorService, kindService),
			r.refs(injectorNetworkPolicy, kindNetworkPolicy),
			r.refs(injectorSwitches, kindConfigMap),
			r.refs(injectorName, kindRoleBinding, kindRole),
			r.refs(injectorClusterBinding, kindClusterRoleBinding),
			r.refs(injectorName, kindClusterRole),
			r.refs(injectorAccount, kindServiceAccount),
			r.secrets(g),
		)
	case Exporter:
		return slices.Concat(
			r.refs(exporterRules, kindPrometheusRule),
			r.refs(exporterName, kindServiceMonitor, kindDaemonSet),
			r.refs(daemonMetrics, kindServiceMonitor, kindService),
			r.refs(exporterService, kindService),
			r.refs(r.prometheusRole(), kindRoleBinding, kindRole),
			r.refs(exporterBinding, kindRoleBinding),
			r.refs(exporterRole, kindRole),
			r.refs(proxyBinding, kindClusterRoleBinding),
			r.refs(proxyRole, kindClusterRole),
			r.refs(exporterAccount, kindServiceAccount),
			r.secrets(g),
		)
	case Webhook:
		return slices.Concat(
			r.refs(webhookConfig, kindValidatingWebhook, kindMutatingWebhook),
			r.refs(webhookName, kindDaemonSet, kindDeployment),
			r.refs(webhookService, kindService),
			r.refs(webhookNetworkPolicy, kindNetworkPolicy),
			r.refs(webhookName, kindRoleBinding, kindRole),
			r.refs(webhookClusterBinding, kindClusterRoleBinding),
			r.refs(webhookName, kindClusterRole),
			r.refs(webhookAccount, kindServiceAccount),
			r.secrets(g),
		)
	}
	return nil
}

// NodeSelector chooses the nodes that the operator looks after: those of the
// configuration when it names labels, otherwise Linux nodes with SR-IOV hardware.
func NodeSelector(spec sriovv1.SriovOperatorConfigSpec) map[string]string {
	if len(spec.ConfigDaemonNodeSelector) > 0 {
		return maps.Clone(spec.ConfigDaemonNodeSelector)
	}
	return map[string]string{
		sriovv1.LabelOS:           sriovv1.LabelOSLinux,
		sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue,
	}
}

// prefix goes before each resource name.
func (r *renderer) prefix() string {
	if r.spec.ResourcePrefix != "" {
		return r.spec.ResourcePrefix
	}
	return r.ResourcePrefix
}

// negotiated are the TLS settings; what is wrong with them is noted for the group.
func (r *renderer) negotiated(g Group) tlsSettings {
	out, found := r.TLS.parse()
	for _, f := range found {
		if f.severity == Refusal {
			r.refuse(g, f.field, f.cause, f.fix)
			continue
		}
		r.warn(g, f.field, f.cause, f.fix)
	}
	return out
}

// hostFolder notes when a setting is no absolute path.
func (r *renderer) hostFolder(g Group, field, folder string) {
	if !strings.HasPrefix(folder, "/") || strings.Contains("/"+folder+"/", "/../") {
		r.refuse(g, field, folder+" is no absolute path", "begin it with /")
	}
}
