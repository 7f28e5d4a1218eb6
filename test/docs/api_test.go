// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// definition is as much of a CustomResourceDefinition as its page tells.
type definition struct {
	Spec struct {
		Names struct {
			Kind       string   `json:"kind"`
			Plural     string   `json:"plural"`
			ShortNames []string `json:"shortNames"`
		} `json:"names"`
		Versions []struct {
			Name    string `json:"name"`
			Columns []struct {
				Name     string `json:"name"`
				Priority int    `json:"priority"`
			} `json:"additionalPrinterColumns"`
			Schema struct {
				OpenAPI schema `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// schema is as much of a field's schema as its page tells.
type schema struct {
	Type        string            `json:"type"`
	Description string            `json:"description"`
	Properties  map[string]schema `json:"properties"`
	Items       *schema           `json:"items"`
	Values      json.RawMessage   `json:"additionalProperties"`
	Required    []string          `json:"required"`
	Enum        []string          `json:"enum"`
	Default     any               `json:"default"`
	Minimum     *float64          `json:"minimum"`
	Maximum     *float64          `json:"maximum"`
	MaxLength   *int              `json:"maxLength"`
	IntOrString bool              `json:"x-kubernetes-int-or-string"`
	Rules       []struct {
		Message string `json:"message"`
		Path    string `json:"fieldPath"`
	} `json:"x-kubernetes-validations"`
}

func TestThePageOfTheAPIIsFresh(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(root, "config/crd/*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("there are %d CRDs, error %v", len(names), err)
	}
	defs := make([]definition, len(names))
	for i, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// The fields have the names that JSON gives them.
		var plain any
		if err := yaml.Unmarshal(text, &plain); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text, err = json.Marshal(plain); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := json.Unmarshal(text, &defs[i]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	slices.SortFunc(defs, func(a, b definition) int { return strings.Compare(a.Spec.Names.Kind, b.Spec.Names.Kind) })
	var b strings.Builder
	b.WriteString(`<!-- Written by: go test ./test/docs -update. Do not edit. -->

# API

All kinds are in the group ` + "`" + `sriovnetwork.openshift.io` + "`" + `, version ` + "`" + `v1` + "`" + `, and live in a namespace. Most objects
of the operator are read from its own namespace alone; its default is ` + "`" + `kube-system` + "`" + `.

| Kind | Short name | It is |
| --- | --- | --- |
`)
	for _, d := range defs {
		kind := d.Spec.Names.Kind
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", kind, anchor(kind), strings.Join(d.Spec.Names.ShortNames, ", "), cell(sentence(d.Spec.Versions[0].Schema.OpenAPI.Description)))
	}
	for _, d := range defs {
		d.write(&b)
	}
	generated(t, "docs/reference/api.md", b.String())
}

func (d definition) write(b *strings.Builder) {
	version := d.Spec.Versions[0]
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", d.Spec.Names.Kind, cell(version.Schema.OpenAPI.Description))
	var columns []string
	for _, c := range version.Columns {
		if c.Priority == 0 {
			columns = append(columns, c.Name)
		}
	}
	fmt.Fprintf(b, "`kubectl get %s` shows: %s.\n", d.Spec.Names.Plural, strings.Join(columns, ", "))
	var rules []string
	for _, part := range []string{"spec", "status"} {
		s, ok := version.Schema.OpenAPI.Properties[part]
		if !ok || len(s.Properties) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n### %s of %s\n\n| Field | Type | Default, limits | Meaning |\n| --- | --- | --- | --- |\n", part, d.Spec.Names.Kind)
		s.fields(b, "")
		rules = append(rules, s.rules(part)...)
	}
	for _, r := range version.Schema.OpenAPI.Rules {
		rules = append(rules, fmt.Sprintf("`%s`: %s", strings.TrimPrefix(r.Path, "."), cell(r.Message)))
	}
	if len(rules) > 0 {
		b.WriteString("\nThe API server refuses it when one of these does not hold:\n\n")
		for _, r := range rules {
			fmt.Fprintf(b, "- %s\n", r)
		}
	}
}

// fields writes a row for each field, those below a field after it.
func (s schema) fields(b *strings.Builder, prefix string) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		f := s.Properties[name]
		path := prefix + name
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", path, f.kind(), f.limits(slices.Contains(s.Required, name)), cell(f.Description))
		switch {
		case name == "conditions": // Kubernetes' own, and everywhere the same
		case len(f.Properties) > 0:
			f.fields(b, path+".")
		case f.Items != nil && len(f.Items.Properties) > 0:
			f.Items.fields(b, path+"[].")
		}
	}
}

// kind is the type of a field in words.
func (s schema) kind() string {
	var values schema
	switch {
	case s.IntOrString:
		return "integer or string"
	case s.Items != nil:
		return "list of " + s.Items.kind()
	case json.Unmarshal(s.Values, &values) == nil && values.Type != "":
		return "map to " + values.Type
	}
	return s.Type
}

func (s schema) limits(required bool) string {
	var out []string
	if required {
		out = append(out, "required")
	}
	if s.Default != nil {
		out = append(out, fmt.Sprintf("default `%v`", s.Default))
	}
	if len(s.Enum) > 0 {
		out = append(out, "one of `"+strings.Join(s.Enum, "`, `")+"`")
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		out = append(out, fmt.Sprintf("%v to %v", *s.Minimum, *s.Maximum))
	case s.Minimum != nil:
		out = append(out, fmt.Sprintf("at least %v", *s.Minimum))
	case s.Maximum != nil:
		out = append(out, fmt.Sprintf("at most %v", *s.Maximum))
	}
	if s.MaxLength != nil {
		out = append(out, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	return strings.Join(out, "; ")
}

// rules are what the fields of a part must hold together.
func (s schema) rules(path string) []string {
	var out []string
	for _, r := range s.Rules {
		out = append(out, fmt.Sprintf("`%s%s`: %s", path, r.Path, cell(r.Message)))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		f := s.Properties[name]
		out = append(out, f.rules(path+"."+name)...)
		if f.Items != nil {
			out = append(out, f.Items.rules(path+"."+name+"[]")...)
		}
	}
	return out
}
