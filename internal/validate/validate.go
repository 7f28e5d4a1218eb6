// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// Severity says what a problem means for the object.
type Severity int

// The severities.
const (
	// Warning is told; the object is accepted.
	Warning Severity = iota
	// Error is what can never work; the object is refused.
	Error
)

// String is the word that people and JSON read.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return fmt.Sprintf("Severity(%d)", int(s))
}

// MarshalText makes the severity a word in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Problem is one thing that is wrong with an object.
type Problem struct {
	Severity  Severity `json:"severity"`
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace,omitempty"`
	Name      string   `json:"name"`
	// Field is the path in the object: "spec.nicSelector.pfNames[0]".
	Field string `json:"field"`
	// Reason is empty for what has none of its own.
	Reason reason.Reason `json:"reason,omitempty"`
	// Cause is what is wrong, with the values, as a phrase.
	Cause string `json:"cause"`
	// Fix is what to do, as a phrase; empty when Cause says it.
	Fix string `json:"fix,omitempty"`
}

// String is object, field, cause and fix in one line.
func (p Problem) String() string {
	name := p.Name
	if p.Namespace != "" {
		name = p.Namespace + "/" + name
	}
	s := fmt.Sprintf("%s %s: %s: %s: %s", p.Kind, name, p.Severity, p.Field, p.Cause)
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return s
}

// Node is what is known of one node.
type Node struct {
	nodestate.Node
	// Inventory is what the node has, as its state tells.
	Inventory hw.Inventory
	// Entries are what ConfigMaps claim for the node, beside the policies.
	Entries []match.Entry
	// InProgress says that the node is being changed.
	InProgress bool
}

// Facts are what is known besides the object. The zero Facts know nothing, and
// nothing that needs them is then said.
type Facts struct {
	// Namespace is the operator's; empty when it is not known.
	Namespace string
	// NodeSelector chooses the nodes that the daemon runs on; empty is the
	// default.
	NodeSelector map[string]string
	// NICs is the list of supported NICs.
	NICs catalog.Table
	// Nodes are the cluster's nodes; empty when there is no cluster to ask, or
	// when it has none yet.
	Nodes []Node
	// Policies and Pools are those of the operator's namespace. The object that
	// is looked at may be among them, as it was before.
	Policies []sriovv1.SriovNetworkNodePolicy
	Pools    []sriovv1.SriovNetworkPoolConfig
	// Resources are those that node states offer, whoever asked for them.
	Resources []string
}

// object collects the problems of one object.
type object struct {
	kind     string
	meta     *metav1.ObjectMeta
	problems []Problem
}

func (o *object) say(s Severity, r reason.Reason, field, cause, fix string) {
	o.problems = append(o.problems, Problem{
		Severity: s, Kind: o.kind, Namespace: o.meta.Namespace, Name: o.meta.Name,
		Field: field, Reason: r, Cause: cause, Fix: fix,
	})
}

func (o *object) refuse(field, cause, fix string) { o.say(Error, "", field, cause, fix) }

func (o *object) warn(field, cause, fix string) { o.say(Warning, "", field, cause, fix) }

// sorted are the problems, errors first, then as they were found.
func (o *object) sorted() []Problem {
	slices.SortStableFunc(o.problems, func(a, b Problem) int { return int(b.Severity) - int(a.Severity) })
	return o.problems
}

// choice refuses a word that is not one of those that are allowed.
func choice[T ~string](o *object, field string, got T, allowed ...T) {
	if slices.Contains(allowed, got) {
		return
	}
	var words []string
	for _, a := range allowed {
		if a != "" {
			words = append(words, string(a))
		}
	}
	o.refuse(field, fmt.Sprintf("%q is not known", got), "use "+strings.Join(words, ", "))
}

// within refuses a number outside of its range.
func within(o *object, field string, got, least, most int) {
	if got < least || got > most {
		o.refuse(field, fmt.Sprintf("%d is out of range", got), fmt.Sprintf("use %d to %d", least, most))
	}
}
