// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// An API server refuses a CRD whose schema is not structural, whose rules do not compile,
// or whose rules could cost more than its budget.
func TestAnAPIServerTakesEveryCRD(t *testing.T) {
	for _, crd := range definitions(t) {
		t.Run(crd.Spec.Names.Kind, func(t *testing.T) {
			for _, err := range validate(t, crd) {
				t.Error(err)
			}
		})
	}
}

// The cost of a rule grows with the bounds of the lists and strings it reads. Room is left,
// so that one more rule does not make the CRD impossible to install.
func TestRulesStayWithinBudgetWhenEveryBoundIsDoubled(t *testing.T) {
	for _, crd := range definitions(t) {
		t.Run(crd.Spec.Names.Kind, func(t *testing.T) {
			multiplyBounds(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, 2)
			for _, err := range validate(t, crd) {
				t.Error(err)
			}
		})
	}
}

func TestRulesBeyondTheBudgetAreNoticed(t *testing.T) {
	for _, crd := range definitions(t) {
		if crd.Spec.Names.Kind != "SriovNetworkNodePolicy" {
			continue
		}
		multiplyBounds(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, 1000)
		if errs := validate(t, crd); len(errs) == 0 {
			t.Error("a schema with lists and strings a thousand times as long was taken; the cost is not checked")
		}
	}
}

func validate(t *testing.T, crd apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	t.Helper()
	apiextensionsv1.SetDefaults_CustomResourceDefinition(&crd)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	crd.Status.StoredVersions = []string{crd.Spec.Versions[0].Name}
	var internal apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&crd, &internal, nil); err != nil {
		t.Fatal(err)
	}
	return validation.ValidateCustomResourceDefinition(t.Context(), &internal)
}

func multiplyBounds(props *apiextensionsv1.JSONSchemaProps, factor int64) {
	for _, bound := range []*int64{props.MaxItems, props.MaxLength, props.MaxProperties} {
		if bound != nil {
			*bound *= factor
		}
	}
	for name, property := range props.Properties {
		multiplyBounds(&property, factor)
		props.Properties[name] = property
	}
	if props.Items != nil && props.Items.Schema != nil {
		multiplyBounds(props.Items.Schema, factor)
	}
}
