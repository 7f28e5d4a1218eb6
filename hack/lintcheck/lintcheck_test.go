// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build lintcheck

package lintcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	root   = "../.."
	module = "github.com/kubeovn/sriov-network-operator"
)

// finding is what a linter says about a file, or should say.
type finding struct {
	File, Linter, Text string
}

// config is the part of .golangci.yml that must be proven.
type config struct {
	Linters struct {
		Enable   []string
		Settings struct {
			Depguard struct {
				Rules map[string]any
			}
			Forbidigo struct {
				Forbid []struct{ Msg string }
			}
		}
	}
	Formatters struct{ Enable []string }
}

func TestEachBanFires(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/module")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".golangci.yml"), string(text))
	standIns(t, dir)

	got, want := lint(t, dir), wanted(t, dir)
	for _, w := range want {
		i := slices.IndexFunc(got, func(g finding) bool {
			return g.File == w.File && g.Linter == w.Linter && strings.Contains(g.Text, w.Text)
		})
		if i < 0 {
			t.Errorf("%s: silent, want %s: %s", w.File, w.Linter, w.Text)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, g := range got {
		t.Errorf("%s: not expected: %s: %s", g.File, g.Linter, g.Text)
	}
	everyBanIsWanted(t, text, want)
}

// everyBanIsWanted fails for a linter, an import rule or a forbidden name without a bad file.
func everyBanIsWanted(t *testing.T, text []byte, want []finding) {
	t.Helper()
	var c config
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	proven := func(linter, text string) bool {
		return slices.ContainsFunc(want, func(w finding) bool {
			return w.Linter == linter && strings.HasPrefix(text, w.Text)
		})
	}
	for _, linter := range slices.Concat(c.Linters.Enable, c.Formatters.Enable) {
		if !slices.ContainsFunc(want, func(w finding) bool { return w.Linter == linter }) {
			t.Errorf("linter %s has no bad file", linter)
		}
	}
	for rule := range c.Linters.Settings.Depguard.Rules {
		if !proven("depguard", fmt.Sprintf("not allowed from list '%s'", rule)) {
			t.Errorf("import rule %s has no bad file", rule)
		}
	}
	for _, ban := range c.Linters.Settings.Forbidigo.Forbid {
		if !proven("forbidigo", ban.Msg) {
			t.Errorf("the ban with message %q has no bad file", ban.Msg)
		}
	}
}

// golangci-lint ignores settings that it does not know, and with them what they should ban.
func TestTheConfigurationHasKnownSettingsOnly(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=go.tools.mod", "golangci-lint", "config", "verify")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("golangci-lint config verify: %v\n%s", err, out)
	}
}

// lint runs golangci-lint in the folder and returns what it says.
func lint(t *testing.T, dir string) []finding {
	t.Helper()
	tools, err := filepath.Abs(filepath.Join(root, "go.tools.mod"))
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(dir, "report.json")
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile="+tools, "golangci-lint", "run", "--allow-parallel-runners",
		"--output.json.path="+report, "--show-stats=false", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err == nil || !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("golangci-lint: %v, want exit code 1, which says that it found something\n%s", err, &stderr)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	findings := make([]finding, 0, len(result.Issues))
	for _, issue := range result.Issues {
		findings = append(findings, finding{File: issue.Pos.Filename, Linter: issue.FromLinter, Text: issue.Text})
	}
	return findings
}

// wanted reads the comments "// want linter: text" of every file in the folder.
func wanted(t *testing.T, dir string) []finding {
	t.Helper()
	pattern := regexp.MustCompile(`(?m)^// want (\w+): (.*)$`)
	var want []finding
	eachGoFile(t, dir, func(name string, text []byte) {
		for _, m := range pattern.FindAllSubmatch(text, -1) {
			want = append(want, finding{File: name, Linter: string(m[1]), Text: string(m[2])})
		}
	})
	return want
}

// standIns writes a go.mod in which an empty module stands for each package of others that a bad file imports,
// so that nothing has to be downloaded or compiled.
func standIns(t *testing.T, dir string) {
	t.Helper()
	others := map[string]bool{}
	eachGoFile(t, dir, func(name string, text []byte) {
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			host, _, _ := strings.Cut(imported, "/")
			if strings.Contains(host, ".") && !strings.HasPrefix(imported, module+"/") {
				others[imported] = true
			}
		}
	})
	gomod := fmt.Sprintf("module %s\n\ngo 1.26.0\n", module)
	for imported := range others {
		version := "v0.0.0"
		inside := ""
		if parent, ok := strings.CutSuffix(imported, "/v1"); ok { // no module path may end so
			imported, inside = parent, "v1"
		}
		if base := path.Base(imported); regexp.MustCompile(`^v[2-9]$`).MatchString(base) {
			version = base + ".0.0"
		}
		standIn := filepath.Join(t.TempDir(), "module")
		write(t, filepath.Join(standIn, "go.mod"), fmt.Sprintf("module %s\n\ngo 1.26.0\n", imported))
		write(t, filepath.Join(standIn, inside, "doc.go"), "// Package standin is empty.\npackage standin\n")
		gomod += fmt.Sprintf("\nrequire %s %s\n\nreplace %s => %s\n", imported, version, imported, standIn)
	}
	write(t, filepath.Join(dir, "go.mod"), gomod)
}

func eachGoFile(t *testing.T, dir string, visit func(name string, text []byte)) {
	t.Helper()
	files := os.DirFS(dir)
	err := fs.WalkDir(files, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".go" {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		visit(name, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
