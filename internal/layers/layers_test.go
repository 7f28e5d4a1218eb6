// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package layers proves that the packages import each other only as
// ARCHITECTURE.md says.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kubeovn/sriov-network-operator/"

// rule is one row of the table: what packages may import of ours.
type rule struct {
	packages, may []string
	row           string
}

// rules reads the table under "Who may import whom".
func rules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "## Who may import whom")
	if !ok {
		t.Fatal("ARCHITECTURE.md has no section \"Who may import whom\"")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	quoted := regexp.MustCompile("`([^`]+)`")
	words := func(cell string) []string {
		var out []string
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			out = append(out, m[1])
		}
		return out
	}
	var out []rule
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || !strings.Contains(cells[0], "`") {
			continue
		}
		out = append(out, rule{packages: words(cells[0]), may: words(cells[1]), row: strings.TrimSpace(line)})
	}
	if len(out) == 0 {
		t.Fatal("the table is empty")
	}
	return out
}

// covers reports whether a name of the table means a package: itself, or with
// "/*" all below it.
func covers(name, pkg string) bool {
	below, tree := strings.CutSuffix(name, "/*")
	if tree {
		return strings.HasPrefix(pkg, below+"/")
	}
	return name == pkg
}

type listed struct {
	ImportPath string
	Imports    []string
}

// imports are our packages and what they import of ours, by their short names.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	result := map[string][]string{}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return result
		}
		if err != nil {
			t.Fatal(err)
		}
		var ours []string
		for _, i := range p.Imports {
			if short, ok := strings.CutPrefix(i, module); ok {
				ours = append(ours, strings.TrimPrefix(short, "internal/"))
			}
		}
		result[strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "internal/")] = ours
	}
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	table := rules(t)
	for pkg, ours := range imports(t) {
		i := slices.IndexFunc(table, func(r rule) bool {
			return slices.ContainsFunc(r.packages, func(name string) bool { return covers(name, pkg) })
		})
		if i < 0 {
			t.Errorf("package %s has no row in the table of ARCHITECTURE.md", pkg)
			continue
		}
		for _, target := range ours {
			allowed := slices.ContainsFunc(table[i].may, func(name string) bool { return name == "everything" || covers(name, target) })
			if !allowed && path.Dir(target) != pkg {
				t.Errorf("package %s imports %s; the table says: %s", pkg, target, table[i].row)
			}
		}
	}
}
