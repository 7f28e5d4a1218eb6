// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
)

// mentions fails for each word that a page does not have in code.
func mentions(t *testing.T, name string, words []string) {
	t.Helper()
	if len(words) == 0 {
		t.Fatalf("there is nothing that %s could lack", name)
	}
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range words {
		if !strings.Contains(string(text), "`"+w+"`") {
			t.Errorf("%s says nothing of `%s`", name, w)
		}
	}
}

func TestThePageOfPlansNamesEveryActionAndClass(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(root, "internal/plan/action.go"))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, m := range regexp.MustCompile(`Does\(\) string \{ return "(\w+)" \}`).FindAllStringSubmatch(string(source), -1) {
		words = append(words, m[1])
	}
	for c := disruption.None; c <= disruption.Reboot; c++ {
		words = append(words, c.String())
	}
	mentions(t, "docs/reference/plan.md", words)
}

func TestThePageOfMachinesNamesEveryField(t *testing.T) {
	var words []string
	var fields func(reflect.Type)
	fields = func(of reflect.Type) {
		for f := range of.Fields() {
			words = append(words, f.Tag.Get("yaml"))
			if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
				fields(f.Type.Elem())
			}
		}
	}
	fields(reflect.TypeFor[sim.Description]())
	mentions(t, "test/machines/README.md", words)
}

func TestThePageOfTheConfigMapNamesEveryField(t *testing.T) {
	mentions(t, "docs/reference/sriov-configmap.md", slices.Concat(claims.Fields()...))
}

// decisions is how many decisions there are.
const decisions = 28

// Each decision names what proves it.
func TestThePageOfDecisionsHasThemAllInOrder(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/reference/decisions.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(text), "\n## ")[1:]
	if len(sections) != decisions {
		t.Fatalf("there are %d decisions, not %d", len(sections), decisions)
	}
	for i, s := range sections {
		if !strings.HasPrefix(s, fmt.Sprintf("D%d ", i+1)) {
			t.Errorf("decision %d begins with %.20q", i+1, s)
		}
		if !proof.MatchString(s) {
			t.Errorf("D%d names no proof", i+1)
		}
	}
}

// proof is a test that a page names: a package and a test of it, and sometimes
// one of its cases.
var proof = regexp.MustCompile("`([a-z0-9_/]+)` (Test\\w+|Fuzz\\w+)(?: \"([^\"]+)\")?")

// Tests that pages name exist, so that what is called proven is.
func TestEveryProofThatIsNamedExists(t *testing.T) {
	named := 0
	for _, p := range pages(t) {
		for i, line := range p.prose {
			for _, m := range proof.FindAllStringSubmatch(line, -1) {
				named++
				if why := missing(m[1], m[2], m[3]); why != "" {
					t.Errorf("%s:%d: %s", p.path, i+1, why)
				}
			}
		}
	}
	if named < decisions/2 {
		t.Errorf("only %d tests are named", named)
	}
}

// missing says what is not there of a test that a page names.
func missing(pkg, test, name string) string {
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil || len(files) == 0 {
		return fmt.Sprintf("package %s has no tests (error %v)", pkg, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		if strings.Contains(string(text), "func "+test+"(") {
			if !strings.Contains(string(text), name) {
				return fmt.Sprintf("%s of %s has no case %q", test, pkg, name)
			}
			return ""
		}
	}
	return fmt.Sprintf("package %s has no %s", pkg, test)
}
