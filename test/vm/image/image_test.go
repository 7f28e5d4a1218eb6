// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseKernelReadsTheMetaPackage(t *testing.T) {
	const record = `Package: linux-image-6.12-amd64
Version: 6.12.117-1~deb12u1
Depends: linux-base, linux-image-6.12.117+deb12-amd64 (= 6.12.117-1~deb12u1)
`
	got, err := parseKernel(record)
	if err != nil {
		t.Fatal(err)
	}
	want := kernelVersion{Release: "6.12.117+deb12-amd64", Package: "6.12.117-1~deb12u1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kernel (-want +got):\n%s", diff)
	}
	if _, err := parseKernel("N: No packages found\n"); !errors.Is(err, errNoKernel) {
		t.Errorf("no package gives the error %v", err)
	}
}

func TestMirrorOfFindsTheMirrorOfBookworm(t *testing.T) {
	cases := map[string]struct{ sources, want string }{
		"a deb822 source": {
			"Types: deb\nURIs: http://mirror/security\nSuites: bookworm-security\n\nTypes: deb\n# a comment\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\n",
			"http://mirror/debian",
		},
		"a one-line source":              {"deb http://mirror/debian bookworm main\n", "http://mirror/debian"},
		"a one-line source with options": {"deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main\n", "http://mirror/debian"},
		"a source that is commented out": {"# deb http://mirror/debian bookworm main\n", ""},
		"another suite":                  {"deb http://mirror/debian trixie main\n", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := mirrorOf(c.sources)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("mirror is %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestSystemNameTellsTheSystem(t *testing.T) {
	if got := systemName("NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\n"); got != "debian 12" {
		t.Errorf("name is %q", got)
	}
}

func TestKeysOfDifferentInputsDiffer(t *testing.T) {
	seen := map[key][]input{}
	for _, inputs := range [][]input{
		nil,
		{{"a", "b"}},
		{{"a", "c"}},
		{{"ab", ""}},
		{{"", "ab"}},
		{{"a", "b"}, {"c", "d"}},
		{{"c", "d"}, {"a", "b"}},
		{{"a", "b 1 c 1 d"}},
	} {
		k := keyOf(inputs...)
		if other, ok := seen[k]; ok {
			t.Errorf("%v and %v have the same key", inputs, other)
		}
		seen[k] = inputs
	}
}

func TestALayerIsBuiltOnceByAllWhoWantIt(t *testing.T) {
	b := Builder{Cache: filepath.Join(t.TempDir(), "cache")}
	var builds atomic.Int32
	l := layer{"thing", "k1", func(_ context.Context, dir, _ string) error {
		builds.Add(1)
		return os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := b.layer(t.Context(), l)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(filepath.Join(dir, "file")); string(got) != "content" {
				t.Errorf("the layer holds %q, %v", got, err)
			}
		})
	}
	all.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("it was built %d times", n)
	}
}

func TestABuildThatBreaksLeavesNoLayer(t *testing.T) {
	b := Builder{Cache: t.TempDir()}
	broken := errors.New("broken")
	l := layer{"thing", "k1", func(_ context.Context, dir, _ string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	}}
	if _, err := b.layer(t.Context(), l); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	// A killed build cannot clean up: its remains must not become part of the next.
	if err := os.MkdirAll(filepath.Join(b.Cache, "thing-k1.part", "remains"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.Build = func(context.Context, string, string) error { return nil }
	dir, err := b.layer(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the layer holds %v, %v", entries, err)
	}
}

func TestLayersThatNobodyUsesGoWhenOneOfTheirNameIsBuilt(t *testing.T) {
	b := Builder{Cache: t.TempDir()}
	old := time.Now().Add(-keepUnused - time.Hour)
	for _, name := range []string{"thing-old", "thing-used", "other-old"} {
		path := filepath.Join(b.Cache, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(context.Context, string, string) error { return nil }
	for _, k := range []key{"used", "new"} {
		if _, err := b.layer(t.Context(), layer{"thing", k, nothing}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := filepath.Glob(filepath.Join(b.Cache, "*-*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i] = filepath.Base(got[i])
	}
	if diff := cmp.Diff([]string{"other-old", "thing-new", "thing-used"}, got); diff != "" {
		t.Errorf("the cache (-want +got):\n%s", diff)
	}
}

func TestAnotherKernelLeavesTheRootFileSystemAndTheAgent(t *testing.T) {
	b := Builder{Cache: t.TempDir()}
	one, err := b.plan(kernelVersion{"6.12.1", "1"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.plan(kernelVersion{"6.12.2", "1"})
	if err != nil {
		t.Fatal(err)
	}
	type sameness struct{ Kernel, Modules, Rootfs, Agent, Disk bool }
	got := sameness{
		one.kernel.Key == two.kernel.Key, one.modules.Key == two.modules.Key, one.rootfs.Key == two.rootfs.Key,
		one.agent.Key == two.agent.Key, one.disk.Key == two.disk.Key,
	}
	if diff := cmp.Diff(sameness{Rootfs: true, Agent: true}, got); diff != "" {
		t.Errorf("layers that another kernel leaves the same (-want +got):\n%s", diff)
	}
}
