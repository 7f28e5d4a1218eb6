// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// crdDir is where the generated CRDs are, seen from this package.
const crdDir = "../../config/crd"

// server admits objects of the generated CRDs as an API server does.
type server struct {
	kinds map[string]kindSchema
}

type kindSchema struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

// definitions reads every generated CRD.
func definitions(t *testing.T) []apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(crdDir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs in %s: %v", crdDir, err)
	}
	crds := make([]apiextensionsv1.CustomResourceDefinition, 0, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatalf("read %s: %v", file, err)
		}
		crds = append(crds, crd)
	}
	return crds
}

func newServer(t *testing.T) server {
	t.Helper()
	kinds := map[string]kindSchema{}
	for _, crd := range definitions(t) {
		var props apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
			crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
			t.Fatal(err)
		}
		structural, err := schema.NewStructural(&props)
		if err != nil {
			t.Fatalf("schema of %s: %v", crd.Name, err)
		}
		openAPI, _, err := validation.NewSchemaValidator(&props)
		if err != nil {
			t.Fatalf("schema of %s: %v", crd.Name, err)
		}
		kinds[crd.Spec.Names.Kind] = kindSchema{
			structural: structural,
			openAPI:    openAPI,
			rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
		}
	}
	return server{kinds: kinds}
}

// admit prunes and defaults the object that is written in YAML, and returns it with what is wrong with it.
func (s server) admit(t *testing.T, text string) (map[string]any, field.ErrorList) {
	t.Helper()
	json, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("test object is not YAML: %v\n%s", err, text)
	}
	// As in an API server, whole numbers become int64; the rules would not take float64.
	var object map[string]any
	if err := utiljson.Unmarshal(json, &object); err != nil {
		t.Fatalf("test object is not an object: %v\n%s", err, text)
	}
	name, _ := object["kind"].(string)
	kind, ok := s.kinds[name]
	if !ok {
		t.Fatalf("no CRD for kind %q", name)
	}
	pruning.Prune(object, kind.structural, true)
	defaulting.Default(object, kind.structural)

	errs := validation.ValidateCustomResource(nil, object, kind.openAPI)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, kind.structural, object)...)
	if len(errs) > 0 {
		return object, errs
	}
	errs, _ = kind.rules.Validate(t.Context(), nil, kind.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return object, errs
}

// lookup returns the value at a path of keys with dots between, and whether there is one.
func lookup(object map[string]any, path string) (any, bool) {
	var value any = object
	for key := range strings.SplitSeq(path, ".") {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = fields[key]; !ok {
			return nil, false
		}
	}
	return value, true
}
