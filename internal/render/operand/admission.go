// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Rules for what operands change, beyond their roles. A role cannot say "its own node";
// the API server can, because a pod's token names the node and the pod that it was
// made for (KEP-4193).
const (
	// tokenNode and tokenPod are empty when the token was not made for a pod. What is
	// empty in a request is not there at all, so optional fields are asked for as such.
	tokenNode   = `request.userInfo.?extra[?'authentication.kubernetes.io/node-name'][?0].orValue('')`
	tokenPod    = `request.userInfo.?extra[?'authentication.kubernetes.io/pod-name'][?0].orValue('')`
	requestName = `request.?name.orValue('')`
	isStatus    = `request.?subResource.orValue('') == 'status'`

	isNodeState = `request.resource.resource == 'sriovnetworknodestates'`
	isNode      = `request.resource.resource == 'nodes'`
	isPod       = `request.resource.resource == 'pods'`

	// sameMetadata leaves annotations out: they are what is changed.
	sameMetadata = `object.metadata.?labels == oldObject.metadata.?labels && ` +
		`object.metadata.?finalizers == oldObject.metadata.?finalizers && ` +
		`object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences`
	sameSpec = `object.?spec == oldObject.?spec`

	annotations    = `object.metadata.?annotations.orValue({})`
	oldAnnotations = `oldObject.metadata.?annotations.orValue({})`
	// onlyOurAnnotations: an annotation that was added, changed or removed has our prefix.
	onlyOurAnnotations = `variables.annotations.all(k, k.startsWith('` + annotationPrefix + `') || ` +
		`(k in variables.oldAnnotations && variables.oldAnnotations[k] == variables.annotations[k])) && ` +
		`variables.oldAnnotations.all(k, k.startsWith('` + annotationPrefix + `') || k in variables.annotations)`

	annotationPrefix = sriovv1.GroupName + "/"
)

// ownNode lets the daemon change the node state and the node that its token names, and
// the device plugin's pods on that node, and of each only what it needs to. The
// controller alone writes the spec of node states.
func (r *renderer) ownNode() []Object {
	operations := []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete}
	return r.admissionPolicy(ConfigDaemon, daemonName, admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{
			matching(operations, sriovv1.GroupName, "sriovnetworknodestates", "sriovnetworknodestates/status"),
			matching(operations, "", "nodes", "nodes/status", "pods"),
		}},
		Variables: []admissionv1.Variable{
			{Name: "node", Expression: tokenNode},
			{Name: "annotations", Expression: annotations},
			{Name: "oldAnnotations", Expression: oldAnnotations},
		},
		Validations: []admissionv1.Validation{
			{Expression: `variables.node != ''`, Message: "the token names no node: use the token of the daemon's own pod"},
			{Expression: `request.operation == 'UPDATE' || ` + isPod, Message: "a daemon neither makes nor deletes node states and nodes"},
			{
				Expression:        `!(` + isNodeState + ` || ` + isNode + `) || ` + requestName + ` == variables.node`,
				MessageExpression: `'a daemon changes only its own node, ' + variables.node + ', and not ' + ` + requestName,
				Message:           "a daemon changes only its own node",
			},
			{
				Expression: `request.operation != 'UPDATE' || ` + isStatus + ` || (` + sameSpec + ` && ` + sameMetadata + ` && ` + onlyOurAnnotations + `)`,
				Message:    "outside of status, a daemon changes only annotations of " + sriovv1.GroupName,
			},
			{
				Expression: `!(` + isStatus + `) || ` + isNodeState,
				Message:    "a daemon writes the status of its node state alone",
			},
			{
				Expression: `!(` + isPod + `) || (request.operation != 'CREATE' && oldObject.spec.?nodeName.orValue('') == variables.node && ` +
					`oldObject.metadata.?labels[?'` + labelApp + `'].orValue('') == '` + pluginName + `')`,
				Message: "a daemon changes only the device plugin's pods on its own node",
			},
		},
	})
}

// ownPod lets the device plugin's init container change the annotations of its own pod.
func (r *renderer) ownPod() []Object {
	operations := []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete}
	return r.admissionPolicy(DevicePlugin, pluginName, admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{
			matching(operations, "", "pods"),
		}},
		Variables: []admissionv1.Variable{
			{Name: "annotations", Expression: annotations},
			{Name: "oldAnnotations", Expression: oldAnnotations},
		},
		Validations: []admissionv1.Validation{
			{
				Expression: `request.operation == 'UPDATE' && ` + tokenPod + ` != '' && ` + requestName + ` == ` + tokenPod,
				Message:    "the device plugin changes only its own pod",
			},
			{
				Expression: `request.operation != 'UPDATE' || (` + sameSpec + ` && ` + sameMetadata + ` && ` + onlyOurAnnotations + `)`,
				Message:    "the device plugin changes only annotations of " + sriovv1.GroupName,
			},
		},
	})
}

// matching is a rule for resources of one API group, at version v1.
func matching(operations []admissionv1.OperationType, group string, resources ...string) admissionv1.NamedRuleWithOperations {
	return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: operations,
		Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: resources},
	}}
}

// admissionPolicy puts a policy for the service account of its name into force. What
// the policy cannot decide is denied.
func (r *renderer) admissionPolicy(g Group, account string, spec admissionv1.ValidatingAdmissionPolicySpec) []Object {
	spec.FailurePolicy = new(admissionv1.Fail)
	spec.MatchConstraints.MatchPolicy = new(admissionv1.Equivalent)
	spec.MatchConditions = []admissionv1.MatchCondition{{
		Name: "by-" + account, Expression: fmt.Sprintf("request.userInfo.username == '%s'", r.userOf(account)),
	}}
	return []Object{
		&admissionv1.ValidatingAdmissionPolicy{
			TypeMeta: typeMeta(kindPolicy), ObjectMeta: r.meta(g, kindPolicy, account), Spec: spec,
		},
		&admissionv1.ValidatingAdmissionPolicyBinding{
			TypeMeta: typeMeta(kindPolicyBinding), ObjectMeta: r.meta(g, kindPolicyBinding, account),
			Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: account, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			},
		},
	}
}

// userOf is what the API server calls a service account of the operator's namespace.
func (r *renderer) userOf(account string) string {
	return "system:serviceaccount:" + r.Namespace + ":" + account
}
