// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// rendered is what the operator deploys with its defaults. That the file is fresh is a test of internal/render/operand.
const rendered = "../../internal/render/operand/testdata/defaults.yaml"

// guard is the admission policies that are deployed, compiled as an API server compiles them.
type guard []guardPolicy

type guardPolicy struct {
	*admissionv1.ValidatingAdmissionPolicy
	validator validating.Validator
}

// newGuard compiles the rendered policies that a binding denies by.
func newGuard(t *testing.T) guard {
	t.Helper()
	text, err := os.ReadFile(rendered)
	if err != nil {
		t.Fatal(err)
	}
	policies, bound := map[string]*admissionv1.ValidatingAdmissionPolicy{}, map[string]bool{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var p admissionv1.ValidatingAdmissionPolicy
		switch {
		case strings.Contains(document, "\nkind: ValidatingAdmissionPolicy\n"):
			if err := yaml.UnmarshalStrict([]byte(document), &p); err != nil {
				t.Fatal(err)
			}
			policies[p.Name] = &p
		case strings.Contains(document, "\nkind: ValidatingAdmissionPolicyBinding\n"):
			var b admissionv1.ValidatingAdmissionPolicyBinding
			if err := yaml.UnmarshalStrict([]byte(document), &b); err != nil {
				t.Fatal(err)
			}
			bound[b.Spec.PolicyName] = b.Spec.MatchResources == nil && slices.Contains(b.Spec.ValidationActions, admissionv1.Deny)
		}
	}
	var out guard
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		if !bound[name] {
			t.Errorf("no binding puts policy %s into force everywhere", name)
		}
		out = append(out, guardPolicy{policies[name], compile(t, policies[name])})
	}
	if len(out) != 2 {
		t.Fatalf("%d policies are rendered, want that of the daemon and that of the device plugin", len(out))
	}
	return out
}

// compile does what an API server does with a policy (k8s.io/apiserver, pkg/admission/plugin/policy/validating, plugin.go),
// which does not offer it to others.
func compile(t *testing.T, p *admissionv1.ValidatingAdmissionPolicy) validating.Validator {
	t.Helper()
	compiler, err := plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	offered := plugincel.OptionalVariableDeclarations{HasAuthorizer: true}
	var conditions, validations, messages []plugincel.ExpressionAccessor
	for _, v := range p.Spec.Variables {
		variable := &validating.Variable{Name: v.Name, Expression: v.Expression}
		if result := compiler.CompileAndStoreVariable(variable, offered, environment.NewExpressions); result.Error != nil {
			t.Errorf("policy %s, variable %s: %v", p.Name, v.Name, result.Error)
		}
	}
	for i := range p.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&p.Spec.MatchConditions[i]))
	}
	for _, v := range p.Spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason})
		if v.MessageExpression == "" {
			messages = append(messages, nil)
			continue
		}
		messages = append(messages, &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression})
	}
	for _, e := range slices.Concat(conditions, validations) {
		if result := compiler.CompileCELExpression(e, offered, environment.NewExpressions); result.Error != nil {
			t.Errorf("policy %s: %s: %v", p.Name, e.GetExpression(), result.Error)
		}
	}
	condition := func(all []plugincel.ExpressionAccessor) plugincel.ConditionEvaluator {
		return compiler.CompileCondition(all, offered, environment.NewExpressions)
	}
	matcher := matchconditions.NewMatcher(condition(conditions), p.Spec.FailurePolicy, "policy", "validate", p.Name)
	return validating.NewValidator(condition(validations), matcher, condition(nil), condition(messages), p.Spec.FailurePolicy, nil)
}

// attempt is a request of somebody.
type attempt struct {
	by user.DefaultInfo
	// does is an operation and a resource of the API: "UPDATE nodes/status".
	does string
	// before and after are the object in YAML; empty when there is none.
	before, after string
	// unnamed says that the request names no object, as one for many objects does.
	unnamed bool
}

// denials are what policies say to an attempt. Nobody else is asked: no role and no other policy.
func (g guard) denials(t *testing.T, a attempt) []string {
	t.Helper()
	operation, target, _ := strings.Cut(a.does, " ")
	resource, subresource, _ := strings.Cut(target, "/")
	before, after := parse(t, a.before), parse(t, a.after)
	some := after
	if some == nil {
		some = before
	}
	name, kind := some.GetName(), some.GroupVersionKind()
	if a.unnamed {
		name = ""
	}
	gvr := kind.GroupVersion().WithResource(resource)
	attributes := admission.NewAttributesRecord(asObject(after), asObject(before), kind, some.GetNamespace(), name, gvr, subresource,
		admission.Operation(operation), nil, false, &a.by)
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: kind}
	versioned.VersionedObject.Set(asObject(after))
	versioned.VersionedOldObject.Set(asObject(before))
	var out []string
	for _, p := range g {
		if !slices.ContainsFunc(p.Spec.MatchConstraints.ResourceRules, func(r admissionv1.NamedRuleWithOperations) bool {
			return (&rules.Matcher{Rule: r.RuleWithOperations, Attr: attributes}).Matches()
		}) {
			continue
		}
		result := p.validator.Validate(t.Context(), gvr, versioned, nil, nil, celconfig.RuntimeCELCostBudget, nil)
		for _, d := range result.Decisions {
			if d.Evaluation == validating.EvalError {
				t.Errorf("policy %s cannot be evaluated: %s", p.Name, d.Message)
			}
			if d.Action == validating.ActionDeny {
				out = append(out, d.Message)
			}
		}
	}
	return out
}

// parse reads an object; it is nil for an empty text.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	if text == "" {
		return nil
	}
	json, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("test object is not YAML: %v\n%s", err, text)
	}
	var fields map[string]any
	if err := utiljson.Unmarshal(json, &fields); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: fields}
}

// asObject is nil for nil.
func asObject(u *unstructured.Unstructured) runtime.Object {
	if u == nil {
		return nil
	}
	return u
}

// tokenOf is whom the API server knows a pod of the operator's namespace by (KEP-4193). Without a pod it is a token that
// was made for none.
func tokenOf(account, pod, node string) user.DefaultInfo {
	u := user.DefaultInfo{
		Name:   "system:serviceaccount:sriov-network-operator:" + account,
		Groups: []string{"system:serviceaccounts", "system:authenticated"},
	}
	if pod != "" {
		u.Extra = map[string][]string{
			"authentication.kubernetes.io/pod-name":  {pod},
			"authentication.kubernetes.io/node-name": {node},
		}
	}
	return u
}

// The objects of the attempts.
const (
	aState = "apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkNodeState\n" +
		"metadata: {name: node-1, namespace: sriov-network-operator, labels: {a: b}, annotations: {example.com/a: b, sriovnetwork.openshift.io/current-state: Idle}}\n" +
		"spec: {interfaces: [{pciAddress: '0000:d8:00.0', numVfs: 4}]}\nstatus: {syncStatus: InProgress}\n"
	aNode = "apiVersion: v1\nkind: Node\n" +
		"metadata: {name: node-1, labels: {a: b}, annotations: {example.com/a: b}}\nspec: {}\nstatus: {phase: Running}\n"
	aPlugin = "apiVersion: v1\nkind: Pod\n" +
		"metadata: {name: plugin-1, namespace: sriov-network-operator, labels: {app: sriov-device-plugin}, annotations: {sriovnetwork.openshift.io/device-plugin-wait-config: 'true'}}\n" +
		"spec: {nodeName: node-1}\n"
	// bare is a node state on which nobody has written yet.
	bare = "apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkNodeState\nmetadata: {name: node-1, namespace: sriov-network-operator}\n"
)

// with replaces parts of a text, each of which must be there.
func with(t *testing.T, text string, oldNew ...string) string {
	t.Helper()
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(text, oldNew[i]) {
			t.Fatalf("%q is not in %q", oldNew[i], text)
		}
		text = strings.ReplaceAll(text, oldNew[i], oldNew[i+1])
	}
	return text
}

const (
	noNode    = "the token names no node: use the token of the daemon's own pod"
	noMaking  = "a daemon neither makes nor deletes node states and nodes"
	ownNode   = "a daemon changes only its own node, node-1, and not "
	metadata  = "outside of status, a daemon changes only annotations of sriovnetwork.openshift.io"
	ownStatus = "a daemon writes the status of its node state alone"
	ownPlugin = "a daemon changes only the device plugin's pods on its own node"
	ownPod    = "the device plugin changes only its own pod"
	podAnnots = "the device plugin changes only annotations of sriovnetwork.openshift.io"
)

func TestD27WhatADaemonMayChange(t *testing.T) {
	g := newGuard(t)
	daemon := tokenOf("sriov-network-config-daemon", "daemon-1", "node-1")
	other := func(text string) string { return with(t, text, "name: node-1", "name: node-2") }
	reported := with(t, aState, "InProgress", "Succeeded")
	for name, test := range map[string]struct {
		attempt

		want []string
	}{
		"reports":                         {attempt{daemon, "UPDATE sriovnetworknodestates/status", aState, reported, false}, nil},
		"reports for the first time":      {attempt{daemon, "UPDATE sriovnetworknodestates/status", bare, bare + "status: {syncStatus: Succeeded}", false}, nil},
		"reports on another":              {attempt{daemon, "UPDATE sriovnetworknodestates/status", other(aState), other(reported), false}, []string{ownNode + "node-2"}},
		"repeats its request":             {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "annotations: {", "annotations: {sriovnetwork.openshift.io/desired-state: Idle, "), false}, nil},
		"is the first to annotate":        {attempt{daemon, "UPDATE sriovnetworknodestates", bare, with(t, bare, "metadata: {", "metadata: {annotations: {sriovnetwork.openshift.io/desired-state: Idle}, "), false}, nil},
		"changes an annotation of ours":   {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "current-state: Idle", "current-state: Draining"), false}, nil},
		"takes an annotation of ours":     {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, ", sriovnetwork.openshift.io/current-state: Idle", ""), false}, nil},
		"repeats it for another":          {attempt{daemon, "UPDATE sriovnetworknodestates", other(aState), with(t, other(aState), "current-state: Idle", "current-state: Draining"), false}, []string{ownNode + "node-2"}},
		"decides for itself":              {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "numVfs: 4", "numVfs: 8"), false}, []string{metadata}},
		"decides where nothing was":       {attempt{daemon, "UPDATE sriovnetworknodestates", bare, bare + "spec: {interfaces: [{pciAddress: '0000:d8:00.0', numVfs: 4}]}", false}, []string{metadata}},
		"takes the spec away":             {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "spec: {interfaces: [{pciAddress: '0000:d8:00.0', numVfs: 4}]}\n", ""), false}, []string{metadata}},
		"labels its node state":           {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "{a: b}", "{a: c}"), false}, []string{metadata}},
		"finalizes its node state":        {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "labels", "finalizers: [example.com/mine], labels"), false}, []string{metadata}},
		"gives its node state an owner":   {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "labels", "ownerReferences: [{kind: Pod, name: p}], labels"), false}, []string{metadata}},
		"takes a foreign annotation":      {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "example.com/a: b, ", ""), false}, []string{metadata}},
		"changes a foreign annotation":    {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "example.com/a: b", "example.com/a: c"), false}, []string{metadata}},
		"annotates with a similar prefix": {attempt{daemon, "UPDATE sriovnetworknodestates", aState, with(t, aState, "annotations: {", "annotations: {sriovnetwork.openshift.io.example.com/a: b, "), false}, []string{metadata}},
		"makes its node state":            {attempt{daemon, "CREATE sriovnetworknodestates", "", bare, false}, []string{noMaking}},
		"deletes its node state":          {attempt{daemon, "DELETE sriovnetworknodestates", aState, "", false}, []string{noMaking}},
		"deletes all node states":         {attempt{daemon, "DELETE sriovnetworknodestates", aState, "", true}, []string{noMaking, strings.TrimSpace(ownNode)}},
		"asks for a drain":                {attempt{daemon, "UPDATE nodes", aNode, with(t, aNode, "annotations: {", "annotations: {sriovnetwork.openshift.io/state: Drain_Required, "), false}, nil},
		"asks for a drain of another":     {attempt{daemon, "UPDATE nodes", other(aNode), with(t, other(aNode), "annotations: {", "annotations: {sriovnetwork.openshift.io/state: Drain_Required, "), false}, []string{ownNode + "node-2"}},
		"cordons its node":                {attempt{daemon, "UPDATE nodes", aNode, with(t, aNode, "spec: {}", "spec: {unschedulable: true}"), false}, []string{metadata}},
		"labels its node":                 {attempt{daemon, "UPDATE nodes", aNode, with(t, aNode, "{a: b}", "{a: b, node-role.kubernetes.io/control-plane: ''}"), false}, []string{metadata}},
		"writes its node's status":        {attempt{daemon, "UPDATE nodes/status", aNode, with(t, aNode, "Running", "Pending"), false}, []string{ownStatus}},
		"makes a node":                    {attempt{daemon, "CREATE nodes", "", aNode, false}, []string{noMaking}},
		"deletes a node":                  {attempt{daemon, "DELETE nodes", other(aNode), "", false}, []string{noMaking, ownNode + "node-2"}},
		"lets its device plugin start":    {attempt{daemon, "UPDATE pods", aPlugin, with(t, aPlugin, ", annotations: {sriovnetwork.openshift.io/device-plugin-wait-config: 'true'}", ""), false}, nil},
		"restarts its device plugin":      {attempt{daemon, "DELETE pods", aPlugin, "", false}, nil},
		"restarts that of another":        {attempt{daemon, "DELETE pods", with(t, aPlugin, "nodeName: node-1", "nodeName: node-2"), "", false}, []string{ownPlugin}},
		"deletes a pod of somebody":       {attempt{daemon, "DELETE pods", with(t, aPlugin, "sriov-device-plugin", "bank"), "", false}, []string{ownPlugin}},
		"deletes a pod on no node":        {attempt{daemon, "DELETE pods", with(t, aPlugin, "nodeName: node-1", "priority: 0"), "", false}, []string{ownPlugin}},
		"makes a pod":                     {attempt{daemon, "CREATE pods", "", aPlugin, false}, []string{ownPlugin}},
		"changes its device plugin":       {attempt{daemon, "UPDATE pods", aPlugin, with(t, aPlugin, "nodeName: node-1", "nodeName: node-1, activeDeadlineSeconds: 1"), false}, []string{metadata}},
		"disguises a pod of somebody": {attempt{daemon, "UPDATE pods", with(t, aPlugin, "sriov-device-plugin", "bank"), aPlugin, false},
			[]string{metadata, ownPlugin}},
		"with a token of no pod": {attempt{tokenOf("sriov-network-config-daemon", "", ""), "UPDATE sriovnetworknodestates/status", aState, reported, false},
			[]string{noNode, "a daemon changes only its own node, , and not node-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := g.denials(t, test.attempt); !slices.Equal(got, test.want) {
				t.Errorf("denied with %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatADevicePluginMayChange(t *testing.T) {
	g := newGuard(t)
	plugin := tokenOf("sriov-device-plugin", "plugin-1", "node-1")
	waits := with(t, aPlugin, "'true'", "'false'")
	other := func(text string) string { return with(t, text, "name: plugin-1", "name: plugin-2") }
	for name, test := range map[string]struct {
		attempt

		want []string
	}{
		"says that it waits":         {attempt{plugin, "UPDATE pods", aPlugin, waits, false}, nil},
		"says so of another":         {attempt{plugin, "UPDATE pods", other(aPlugin), other(waits), false}, []string{ownPod}},
		"labels itself":              {attempt{plugin, "UPDATE pods", aPlugin, with(t, aPlugin, "sriov-device-plugin", "bank"), false}, []string{podAnnots}},
		"annotates as somebody else": {attempt{plugin, "UPDATE pods", aPlugin, with(t, aPlugin, "annotations: {", "annotations: {example.com/a: b, "), false}, []string{podAnnots}},
		"deletes itself":             {attempt{plugin, "DELETE pods", aPlugin, "", false}, []string{ownPod}},
		"makes a pod":                {attempt{plugin, "CREATE pods", "", aPlugin, false}, []string{ownPod}},
		"with a token of no pod":     {attempt{tokenOf("sriov-device-plugin", "", ""), "UPDATE pods", aPlugin, waits, false}, []string{ownPod}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := g.denials(t, test.attempt); !slices.Equal(got, test.want) {
				t.Errorf("denied with %q, want %q", got, test.want)
			}
		})
	}
}

func TestNobodyElseIsHeldUp(t *testing.T) {
	g := newGuard(t)
	elsewhere := tokenOf("sriov-network-config-daemon", "daemon-1", "node-1")
	elsewhere.Name = "system:serviceaccount:another:sriov-network-config-daemon"
	for name, by := range map[string]user.DefaultInfo{
		"the controller":                     tokenOf("sriov-network-operator", "operator-1", "node-9"),
		"a kubelet":                          {Name: "system:node:node-1", Groups: []string{"system:nodes"}},
		"a person":                           {Name: "kubernetes-admin", Groups: []string{"system:masters"}},
		"a daemon of another operator":       elsewhere,
		"a service account that is no one's": {Name: "system:serviceaccount:default:default"},
	} {
		for _, a := range []attempt{
			{by, "UPDATE sriovnetworknodestates", aState, with(t, aState, "numVfs: 4", "numVfs: 8"), false},
			{by, "CREATE sriovnetworknodestates", "", aState, false},
			{by, "DELETE sriovnetworknodestates", aState, "", false},
			{by, "UPDATE nodes", aNode, with(t, aNode, "spec: {}", "spec: {unschedulable: true}"), false},
			{by, "UPDATE nodes/status", aNode, with(t, aNode, "Running", "Pending"), false},
			{by, "DELETE pods", aPlugin, "", false},
		} {
			if got := g.denials(t, a); len(got) > 0 {
				t.Errorf("%s, %s: denied with %q", name, a.does, got)
			}
		}
	}
}
