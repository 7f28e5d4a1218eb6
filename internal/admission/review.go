// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/validate"
)

// Validate says whether an object may be written, and what its writer should know.
func Validate(r *admissionv1.AdmissionRequest, k Knowledge) *admissionv1.AdmissionResponse {
	found, err := problems(r, k)
	if err != nil {
		return &admissionv1.AdmissionResponse{UID: r.UID, Result: &metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusBadRequest, Reason: metav1.StatusReasonBadRequest, Message: err.Error(),
		}}
	}
	out := &admissionv1.AdmissionResponse{UID: r.UID, Allowed: true, Warnings: warnings(found, k.Unknown)}
	errs := slices.DeleteFunc(slices.Clone(found), func(p validate.Problem) bool { return p.Severity != validate.Error })
	if len(errs) > 0 {
		out.Allowed, out.Result = false, refusal(r, errs)
	}
	return out
}

// problems are those of the request's object. Kinds of others have none.
func problems(r *admissionv1.AdmissionRequest, k Knowledge) ([]validate.Problem, error) {
	if r.Kind.Group != sriovv1.GroupName || r.Operation != admissionv1.Create && r.Operation != admissionv1.Update {
		return nil, nil
	}
	switch r.Kind.Kind {
	case sriovv1.KindSriovNetworkNodePolicy:
		return check(r, func(p *sriovv1.SriovNetworkNodePolicy) []validate.Problem {
			if k.AllowUnlisted {
				p.Spec.AllowUnlistedNics = true
			}
			return validate.Policy(p, k.Facts)
		})
	case sriovv1.KindSriovNetworkPoolConfig:
		return check(r, func(p *sriovv1.SriovNetworkPoolConfig) []validate.Problem { return validate.PoolConfig(p, k.Facts) })
	case sriovv1.KindSriovNetwork:
		return check(r, func(n *sriovv1.SriovNetwork) []validate.Problem { return validate.SriovNetwork(n, k.Facts) })
	case sriovv1.KindSriovIBNetwork:
		return check(r, func(n *sriovv1.SriovIBNetwork) []validate.Problem { return validate.SriovIBNetwork(n, k.Facts) })
	case sriovv1.KindOVSNetwork:
		return check(r, func(n *sriovv1.OVSNetwork) []validate.Problem { return validate.OVSNetwork(n, k.Facts) })
	case sriovv1.KindSriovOperatorConfig:
		var before *sriovv1.SriovOperatorConfig
		if len(r.OldObject.Raw) > 0 {
			before = &sriovv1.SriovOperatorConfig{}
			if err := json.Unmarshal(r.OldObject.Raw, before); err != nil {
				return nil, fmt.Errorf("read the object as it was: %w", err)
			}
		}
		return check(r, func(c *sriovv1.SriovOperatorConfig) []validate.Problem {
			return validate.OperatorConfig(c, before, k.Facts)
		})
	}
	return nil, nil
}

// check reads the request's object and checks it.
func check[T any](r *admissionv1.AdmissionRequest, problems func(*T) []validate.Problem) ([]validate.Problem, error) {
	object := new(T)
	if err := json.Unmarshal(r.Object.Raw, object); err != nil {
		return nil, fmt.Errorf("read the object: %w", err)
	}
	return problems(object), nil
}

// refusal tells of every error. People read the causes, which kubectl shows by field.
func refusal(r *admissionv1.AdmissionRequest, errs []validate.Problem) *metav1.Status {
	out := &metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid,
		Details: &metav1.StatusDetails{Name: r.Name, Group: r.Kind.Group, Kind: r.Kind.Kind},
	}
	var lines []string
	for _, p := range errs {
		lines = append(lines, line(p))
		out.Details.Causes = append(out.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseTypeFieldValueInvalid, Field: p.Field, Message: strings.TrimPrefix(line(p), p.Field+": "),
		})
	}
	out.Message = strings.Join(lines, "\n")
	// The existing operator tells its refusals in the reason. Software looks there for
	// the words about this field, and for no others that are a refusal here.
	if slices.ContainsFunc(errs, func(p validate.Problem) bool { return p.Field == "spec.networkNamespace" }) {
		out.Reason = metav1.StatusReason(out.Message)
	}
	return out
}

// line is field, cause and fix.
func line(p validate.Problem) string {
	s := p.Field + ": " + p.Cause
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return s
}

// mostWarnings is how many bytes of warnings are told: from 4096 on, the API server cuts
// each of them off.
const mostWarnings = 3800

// warnings are what is told of an object that may be written.
func warnings(found []validate.Problem, unknown []string) []string {
	var out []string
	size, left := 0, 0
	for _, p := range found {
		if p.Severity != validate.Warning {
			continue
		}
		text := line(p)
		if size += len(text); size > mostWarnings {
			left++
			continue
		}
		out = append(out, text)
	}
	if left > 0 {
		out = append(out, fmt.Sprintf("and %d more; kubectl sriov validate shows all", left))
	}
	if len(unknown) > 0 {
		out = append(out, fmt.Sprintf("only the object itself was checked: the webhook has not read all %s yet; kubectl sriov validate checks it against them",
			strings.Join(unknown, ", ")))
	}
	return out
}

// patch is one operation of a JSON patch.
type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Mutate fills in what the schema cannot: VFs of InfiniBand ports that are not for
// userspace are RDMA devices. All other defaults are in the schema.
//
// What cannot be read is left as it is: the API server checks the schema afterwards, and
// says better what is wrong.
func Mutate(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	out := &admissionv1.AdmissionResponse{UID: r.UID, Allowed: true}
	if r.Kind.Group != sriovv1.GroupName || r.Kind.Kind != sriovv1.KindSriovNetworkNodePolicy || r.Name == sriovv1.DefaultPolicyName {
		return out
	}
	var policy struct {
		Spec *sriovv1.SriovNetworkNodePolicySpec `json:"spec"`
	}
	if err := json.Unmarshal(r.Object.Raw, &policy); err != nil || policy.Spec == nil {
		return out
	}
	s := policy.Spec
	if !strings.EqualFold(string(s.LinkType), string(sriovv1.LinkTypeIB)) || s.DeviceType == sriovv1.DeviceTypeVfioPci || s.IsRdma {
		return out
	}
	// Adding a field that is there replaces it: RFC 6902, 4.1.
	raw, err := json.Marshal([]patch{{Op: "add", Path: "/spec/isRdma", Value: true}})
	if err != nil {
		return out
	}
	out.Patch, out.PatchType = raw, new(admissionv1.PatchTypeJSONPatch)
	return out
}
