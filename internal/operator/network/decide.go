// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
)

// act is what is to be done about an attachment.
type act int

const (
	// keep: it is as wanted.
	keep act = iota
	// create: there is none, and there can be.
	create
	// amend: it is ours and differs.
	amend
	// stop: it must not or cannot be written; the verdict says why.
	stop
)

// decision is what is to be done, and what the network's condition says then.
type decision struct {
	act     act
	verdict verdict
}

// place is what is known about the namespace of an attachment.
type place int

const (
	placeMissing place = iota
	placeEnding
	placeReady
)

// verdict is what the condition Ready of a network says.
type verdict struct {
	status  metav1.ConditionStatus
	reason  string
	message string
}

func ready(ignored []string) verdict {
	v := verdict{metav1.ConditionTrue, sriovv1.ReasonNetworkReady, "NetworkAttachmentDefinition is provisioned and ready"}
	if len(ignored) > 0 {
		v.message += "; without effect on a network of kube-ovn: " + strings.Join(ignored, ", ")
	}
	return v
}

func invalid(format string, args ...any) verdict {
	return verdict{metav1.ConditionFalse, sriovv1.ReasonNetAttachDefInvalid, fmt.Sprintf(format, args...)}
}

func missing(format string, args ...any) verdict {
	return verdict{metav1.ConditionFalse, sriovv1.ReasonNetAttachDefNotFound, fmt.Sprintf(format, args...)}
}

func namespaceMissing(namespace string) verdict {
	return verdict{metav1.ConditionFalse, sriovv1.ReasonNamespaceNotFound, fmt.Sprintf("target namespace %q does not exist", namespace)}
}

func namespaceEnding(namespace string) verdict {
	return verdict{metav1.ConditionFalse, sriovv1.ReasonNamespaceNotFound, fmt.Sprintf("target namespace %q is being deleted", namespace)}
}

func kindMissing() verdict {
	return missing("the cluster has no kind %s in %s/%s; install Multus, or the kind's CustomResourceDefinition, and the network is attached at once",
		render.AttachmentKind, render.AttachmentGroup, render.AttachmentVersion)
}

// decide compares the attachment that is wanted with the one that was found under
// its name; nil is none.
func decide(wanted render.NetworkAttachmentDefinition, found *render.NetworkAttachmentDefinition, p place, whenReady verdict) decision {
	where := wanted.Namespace + "/" + wanted.Name
	switch {
	case found == nil && p == placeMissing:
		return decision{stop, namespaceMissing(wanted.Namespace)}
	case found == nil && p == placeEnding:
		return decision{stop, namespaceEnding(wanted.Namespace)}
	case found == nil:
		return decision{create, whenReady}
	case found.DeletionTimestamp != nil:
		return decision{stop, missing("NetworkAttachmentDefinition %s is being deleted and waits for its finalizers; it is made again when it is gone", where)}
	}
	ours := wanted.Annotations[sriovv1.AnnotationOwnerRef]
	switch owner := found.Annotations[sriovv1.AnnotationOwnerRef]; {
	case owner == ours && !differs(wanted, *found):
		return decision{keep, whenReady}
	case owner == ours, owner == "" && sameConfig(wanted.Spec.Config, found.Spec.Config):
		return decision{amend, whenReady}
	case owner == "":
		return decision{stop, invalid("NetworkAttachmentDefinition %s was made by somebody else and is left alone; "+
			"delete or rename it, or hand it over with the annotation %s: %s", where, sriovv1.AnnotationOwnerRef, ours)}
	default:
		return decision{stop, invalid("NetworkAttachmentDefinition %s belongs to %s and is left alone; rename one of the two networks",
			where, speech.Clip(owner, 300))}
	}
}

// differs reports whether an attachment of ours is not as wanted. What others added
// to it does not count.
func differs(wanted, found render.NetworkAttachmentDefinition) bool {
	if wanted.Spec.Config != found.Spec.Config {
		return true
	}
	for key, value := range wanted.Annotations {
		if found.Annotations[key] != value {
			return true
		}
	}
	return slices.ContainsFunc(wanted.OwnerReferences, func(o metav1.OwnerReference) bool {
		return !slices.ContainsFunc(found.OwnerReferences, func(f metav1.OwnerReference) bool { return reflect.DeepEqual(o, f) })
	})
}

// sameConfig reports whether two configurations say the same, however they are
// spaced and their keys ordered.
func sameConfig(a, b string) bool {
	if a == b {
		return true
	}
	parsed := func(text string) (value any, ok bool) {
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.UseNumber()
		ok = d.Decode(&value) == nil && !d.More()
		return value, ok
	}
	x, fine := parsed(a)
	y, alsoFine := parsed(b)
	return fine && alsoFine && reflect.DeepEqual(x, y)
}

// previous is the namespace where the network's attachment was before, or empty if
// it was nowhere else. Only a network in the operator's namespace can have moved:
// what the annotation says elsewhere is its user's word.
func previous(a asked, operatorNamespace, now string) string {
	if a.object.GetNamespace() != operatorNamespace {
		return ""
	}
	if last := a.object.GetAnnotations()[sriovv1.AnnotationLastNetworkNamespace]; last != now {
		return last
	}
	return ""
}

// places are the namespaces where an attachment of the network can be, without
// repetition.
func places(a asked, operatorNamespace string) []string {
	own := a.object.GetNamespace()
	if own != operatorNamespace {
		return []string{own}
	}
	now := a.networkNamespace
	if now == "" {
		now = own
	}
	if last := previous(a, operatorNamespace, now); last != "" {
		return []string{now, last}
	}
	return []string{now}
}
