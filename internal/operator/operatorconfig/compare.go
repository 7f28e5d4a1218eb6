// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// comparer tells beforehand whether an apply would change something. It knows from the
// schemas of Kubernetes, as the API server does, which lists are sets of items with keys.
type comparer struct{ builtin, custom managedfields.TypeConverter }

func newComparer() comparer {
	return comparer{
		builtin: applyconfigurations.NewTypeConverter(clientgoscheme.Scheme),
		custom:  managedfields.NewDeducedTypeConverter(),
	}
}

// same reports whether an apply would change nothing: the object has every field of the
// patch, and the operator owns these fields and no more.
func (c comparer) same(live, patch *unstructured.Unstructured) (bool, error) {
	convert, known := c.custom, clientgoscheme.Scheme.Recognizes(patch.GroupVersionKind())
	if known {
		convert = c.builtin
	}
	// Lists of live objects may have items with equal keys, which the API server suffers.
	is, err := convert.ObjectToTyped(live, typed.AllowDuplicates)
	if err != nil {
		return false, fmt.Errorf("read its fields: %w", err)
	}
	want, err := convert.ObjectToTyped(patch)
	if err != nil {
		return false, fmt.Errorf("read the fields that it should have: %w", err)
	}
	merged, err := is.Merge(want)
	if err != nil {
		return false, fmt.Errorf("merge the fields that it should have: %w", err)
	}
	difference, err := is.Compare(merged)
	if err != nil {
		return false, fmt.Errorf("compare its fields: %w", err)
	}
	if !difference.IsSame() {
		return false, nil
	}
	asked, err := want.ToFieldSet()
	if err != nil {
		return false, fmt.Errorf("list the fields that it should have: %w", err)
	}
	asked = asked.Difference(identity())
	owned, err := ownedFields(live)
	if err != nil {
		return false, err
	}
	if !known {
		asked, owned = outsideLists(asked), outsideLists(owned)
	}
	return asked.Equals(owned), nil
}

// identity are the fields that nobody owns.
func identity() *fieldpath.Set {
	return fieldpath.NewSet(
		fieldpath.MakePathOrDie("apiVersion"), fieldpath.MakePathOrDie("kind"),
		fieldpath.MakePathOrDie("metadata", "name"), fieldpath.MakePathOrDie("metadata", "namespace"),
	)
}

// ownedFields are those that the operator owns by an apply.
func ownedFields(live *unstructured.Unstructured) (*fieldpath.Set, error) {
	owned := fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		if entry.Manager != fieldManager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		if err := owned.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			return nil, fmt.Errorf("read which fields the operator owns: %w", err)
		}
	}
	return owned, nil
}

// outsideLists cuts paths where they enter a list. The schemas of custom kinds are not
// known here, and with them not whether a list is owned as a whole or by item.
func outsideLists(s *fieldpath.Set) *fieldpath.Set {
	out := fieldpath.NewSet()
	for path := range s.All() {
		cut := 0
		for cut < len(path) && path[cut].FieldName != nil {
			cut++
		}
		out.Insert(path[:cut].Copy())
	}
	return out
}
