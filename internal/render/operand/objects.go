// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Group is one thing that the operator deploys.
type Group int

// The groups, in the order in which they are deployed.
const (
	// ConfigDaemon configures the NICs of each node.
	ConfigDaemon Group = iota
	// DevicePlugin advertises VFs to the kubelet.
	DevicePlugin
	// Injector adds requests for VFs to pods.
	Injector
	// Exporter serves metrics of VFs.
	Exporter
	// Webhook checks objects of this API against each other.
	Webhook
)

// Groups are all groups, in order.
func Groups() []Group { return []Group{ConfigDaemon, DevicePlugin, Injector, Exporter, Webhook} }

// String is the group's name, as in the label app.kubernetes.io/component.
func (g Group) String() string {
	switch g {
	case ConfigDaemon:
		return "config-daemon"
	case DevicePlugin:
		return "device-plugin"
	case Injector:
		return "resources-injector"
	case Exporter:
		return "metrics-exporter"
	case Webhook:
		return "operator-webhook"
	}
	return fmt.Sprintf("Group(%d)", int(g))
}

// State is what is to be done with a group.
type State int

// States of a group.
const (
	// Deployed: its objects are to be there.
	Deployed State = iota
	// Removed: none of its objects is to be there.
	Removed
	// LeftAlone: its settings cannot be used, a Problem says why, and what is in the
	// cluster stays as it is.
	LeftAlone
)

// String is the state's name in lower case.
func (s State) String() string {
	switch s {
	case Deployed:
		return "deployed"
	case Removed:
		return "removed"
	case LeftAlone:
		return "left alone"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Object is any Kubernetes object. A client.Object of controller-runtime is one.
type Object interface {
	metav1.Object
	runtime.Object
}

// Ref names an object. Namespace is empty for those without one.
type Ref struct {
	schema.GroupVersionKind
	Namespace, Name string
}

// String is Kind namespace/name.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// RefOf names an object that has its kind set, as every object of this package has.
func RefOf(o Object) Ref {
	return Ref{GroupVersionKind: o.GetObjectKind().GroupVersionKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// Deployment is what is to be done for one group.
type Deployment struct {
	Group Group
	State State
	// Apply in this order.
	Apply []Object
	// WhenServing are applied once a pod of the group is ready: the API server calls a
	// webhook from the moment its configuration is there.
	WhenServing []Object
	// Delete, in this order, those that Ours says are ours. Webhook configurations are
	// first. What is not there needs no deleting.
	Delete []Ref
}

// Objects is what is to be done for all groups.
type Objects struct {
	// Deployments has every group once, in the order of Groups.
	Deployments []Deployment
}

// Of is what is to be done for one group.
func (o Objects) Of(g Group) Deployment {
	i := slices.IndexFunc(o.Deployments, func(d Deployment) bool { return d.Group == g })
	if i < 0 {
		return Deployment{Group: g, State: LeftAlone}
	}
	return o.Deployments[i]
}

// Patch is an object as server-side apply sends it: without status, which others
// write, and without times that nobody set.
func Patch(o Object) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("make a patch of %s: %w", RefOf(o), err)
	}
	delete(fields, "status")
	withoutNull(fields)
	return &unstructured.Unstructured{Object: fields}, nil
}

// withoutNull removes what is null, at any depth: in a patch, null is a wish.
func withoutNull(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if inner == nil {
				delete(v, key)
				continue
			}
			withoutNull(inner)
		}
	case []any:
		for _, inner := range v {
			withoutNull(inner)
		}
	}
}

// Ours reports whether the operator, or the existing operator before it, made an
// object. An object of the same name that somebody else made is neither changed nor
// deleted.
func Ours(o metav1.Object) bool {
	if o.GetLabels()[labelManagedBy] == operatorName || o.GetLabels()[labelCreatedBy] == operatorName {
		return true
	}
	return slices.ContainsFunc(o.GetOwnerReferences(), func(r metav1.OwnerReference) bool {
		version, err := schema.ParseGroupVersion(r.APIVersion)
		return err == nil && version.Group == sriovv1.GroupName && r.Kind == sriovv1.KindSriovOperatorConfig
	})
}
