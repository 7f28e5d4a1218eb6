// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"fmt"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Severity is how much of a Problem's group is affected.
type Severity int

// Severities.
const (
	// Warning: the group is deployed all the same.
	Warning Severity = iota
	// Refusal: the group is left alone.
	Refusal
)

// String is the severity's name in lower case.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Refusal:
		return "refusal"
	}
	return fmt.Sprintf("Severity(%d)", int(s))
}

// Problem is what is wrong with the operator configuration or the Settings.
type Problem struct {
	Severity Severity
	Group    Group
	// Field is a path in the operator configuration when it begins with "spec.",
	// otherwise one in Settings.
	Field string
	// Reason is that of condition Ready for a Refusal, and empty for a Warning.
	Reason string
	// Cause is what is wrong, with the value, as a phrase.
	Cause string
	// Fix is what to do about it, as a phrase.
	Fix string
}

// String is field, cause and fix in one line.
func (p Problem) String() string {
	s := p.Field + ": " + p.Cause
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return s
}

// warn notes a problem of a group that is deployed all the same.
func (r *renderer) warn(g Group, field, cause, fix string) {
	r.problems = append(r.problems, Problem{Severity: Warning, Group: g, Field: field, Cause: cause, Fix: fix})
}

// refuse notes a problem because of which the group is left alone.
func (r *renderer) refuse(g Group, field, cause, fix string) {
	r.problems = append(r.problems, Problem{
		Severity: Refusal, Group: g, Field: field,
		Reason: sriovv1.ReasonOperatorConfigSyncFailed, Cause: cause, Fix: fix,
	})
}

// needImage refuses the group if it has no image to run.
func (r *renderer) needImage(g Group, field, image string) {
	if image == "" {
		r.refuse(g, "images."+field, fmt.Sprintf("no image for the %s", g), "set the image, or turn this part off")
	}
}
