// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRequiredReadsAVersion(t *testing.T) {
	const goMod = "module m\n\nrequire a.example/one v1.0.0\n\nrequire (\n\ta.example/two v2.0.0 // indirect\n)\n\nreplace (\n\ta.example/three => a.example/three v3.0.0\n)\n"
	cases := map[string]string{
		"a.example/one":   "v1.0.0",
		"a.example/two":   "v2.0.0",
		"a.example/three": "",
		"a.example/tw":    "",
	}
	for path, want := range cases {
		got, err := required(goMod, path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("version of %s is %q, %v; want %q", path, got, err, want)
		}
	}
}

func TestTheModulesPinWhatIsBuilt(t *testing.T) {
	repository, err := Repository(".")
	if err != nil {
		t.Fatal(err)
	}
	b := Builder{Repository: repository}
	for _, m := range modules() {
		text, err := os.ReadFile(filepath.Join(b.module(m), "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := required(string(text), m.Pins); err != nil {
			t.Error(err)
		}
		for _, pkg := range m.Packages {
			if !strings.Contains(string(text), pkg+"\n") {
				t.Errorf("%s is no tool of %s/go.mod", pkg, m.Folder)
			}
		}
	}
}

func TestTheRepositoryIsFoundFromWithinOnly(t *testing.T) {
	if _, err := Repository(filepath.Join("kubernetes")); err != nil {
		t.Errorf("from the leaf module: %v", err)
	}
	if dir, err := Repository(t.TempDir()); err == nil {
		t.Errorf("from a folder that is elsewhere: %s", dir)
	}
}

func TestAnErrorNamesItsRemedy(t *testing.T) {
	cases := map[string]string{
		"write /x: no space left on device": "GOCACHE",
		"dial tcp 192.0.2.1:443: i/o":       "GOPROXY",
		"compile: signal: killed":           "memory",
		"undefined: x":                      "",
	}
	for said, want := range cases {
		if got := remedy([]string{"# pkg", said}); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("remedy for %q is %q", said, got)
		}
	}
}

func TestAnEmptyCacheNamesTheCommandThatFillsIt(t *testing.T) {
	repository, err := Repository(".")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Builder{Repository: repository, Cache: t.TempDir()}.Find()
	if err == nil || !strings.Contains(err.Error(), "kuberig build") {
		t.Errorf("error is %v", err)
	}
}

func TestABuildThatFailsLeavesNothing(t *testing.T) {
	repository := t.TempDir()
	for _, m := range modules() {
		dir := Builder{Repository: repository}.module(m)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		text := "module broken\n\ngo 1.26.0\n\nrequire " + m.Pins + " v1.2.3\n"
		for file, content := range map[string]string{"go.mod": text, "go.sum": ""} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("GOPROXY", "off")
	b := Builder{Repository: repository, Cache: filepath.Join(t.TempDir(), "cache")}
	if s, err := b.Build(t.Context()); err == nil {
		t.Fatalf("built %v", s)
	}
	entries, err := os.ReadDir(b.Cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestProgramsThatNobodyUsesGo(t *testing.T) {
	b := Builder{Cache: t.TempDir()}
	for name, age := range map[string]time.Duration{"old": 2 * keepUnused, "new": time.Hour} {
		dir := filepath.Join(b.Cache, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(dir, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.prune(time.Now().Add(-keepUnused)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(b.Cache, "new")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(b.Cache, "old")); err == nil {
		t.Error("old programs stay")
	}
}
