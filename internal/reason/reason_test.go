// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package reason

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// declared is every constant of type Reason in reason.go, by value.
func declared(t *testing.T) []Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			if v, err := strconv.Unquote(lit.Value); err == nil {
				if spec.Names[0].Name != v {
					t.Errorf("constant %s has the value %q; name and value must be equal", spec.Names[0].Name, v)
				}
				out = append(out, Reason(v))
			}
		}
		return true
	})
	slices.Sort(out)
	return out
}

func TestEveryReasonHasASentence(t *testing.T) {
	if !slices.Equal(declared(t), All()) {
		t.Fatalf("reason.go declares %v\ntexts.go describes %v", declared(t), All())
	}
	for _, r := range All() {
		if r.Sentence() == "" {
			t.Errorf("%s has no sentence", r)
		}
	}
}

func TestAWhyWithoutDetailSpeaksItsSentence(t *testing.T) {
	if got := (Why{Reason: PFMissing}).String(); got != PFMissing.Sentence() {
		t.Errorf("got %q", got)
	}
	if got := Because(CountDiffers, "numVfs %d, asked %d", 4, 8).String(); got != "numVfs 4, asked 8" {
		t.Errorf("got %q", got)
	}
}
