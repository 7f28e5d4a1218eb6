// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// stories are files with these parts: machine.yaml; before.yaml, policies that are
// applied first, if it is there; policy.yaml; want/plan, what plan prints;
// want/notes, what it says beside; want/nodestate, what apply -o yaml prints.
const stories = "../../test/scenarios/apply/*.txtar"

func TestStories(t *testing.T) {
	files, err := filepath.Glob(stories)
	if err != nil || len(files) < 15 {
		t.Fatalf("there are %d stories, error %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) { tell(t, f) })
	}
}

func tell(t *testing.T, name string) {
	t.Helper()
	story, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	machine, _ := part(story, "machine.yaml")
	policy, _ := part(story, "policy.yaml")
	w := world{this: parsed(t, machine)}
	policies := file(t, "policy.yaml", policy)
	if before, ok := part(story, "before.yaml"); ok {
		if got := w.run(t, "apply", "--step-timeout", "20s", "-f", file(t, "before.yaml", before), "--yes"); got.code != ExitDone {
			t.Fatalf("what is applied first:\n%s%s", got.out, got.err)
		}
	}
	plan := w.run(t, "plan", "--detailed-exitcode", "-f", policies)
	notes := strings.ReplaceAll(plan.err, policies, "policy.yaml")
	writes := w.this.Writes()
	applied := w.run(t, "apply", "--yes", "-o", "yaml", "--step-timeout", "20s", "-f", policies)
	if plan.code == ExitDone && w.this.Writes() != writes {
		t.Errorf("nothing was to be done and %d changes were made", w.this.Writes()-writes)
	}
	if blocked := plan.code == ExitError; (applied.code == ExitError) != blocked {
		t.Errorf("plan ends with %d and apply with %d:\n%s", plan.code, applied.code, applied.err)
	}
	second(t, w, policies)
	for _, want := range []struct{ name, got string }{
		{"want/plan", plan.out}, {"want/notes", notes}, {"want/nodestate", applied.out},
	} {
		hold(t, story, want.name, want.got)
	}
	if *update {
		if err := os.WriteFile(name, txtar.Format(story), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// second applies again, which changes nothing.
func second(t *testing.T, w world, policies string) {
	t.Helper()
	writes := w.this.Writes()
	again := w.run(t, "apply", "--yes", "--step-timeout", "20s", "-f", policies)
	if w.this.Writes() != writes || !strings.Contains(again.out, "nothing to do") {
		t.Errorf("the second apply made %d changes and said:\n%s%s", w.this.Writes()-writes, again.out, again.err)
	}
}

// hold compares one part of the story. The plan must be there; the others are
// compared where the story has them.
func hold(t *testing.T, story *txtar.Archive, name, got string) {
	t.Helper()
	want, ok := part(story, name)
	switch {
	case *update && (ok || name == "want/plan" || (name == "want/notes" && got != "")):
		set(story, name, got)
	case !ok && name == "want/plan":
		t.Errorf("the story does not say what is planned:\n%s", got)
	case !ok && name == "want/notes" && got != "":
		t.Errorf("this is said and the story does not know it:\n%s", got)
	case ok:
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func part(story *txtar.Archive, name string) (string, bool) {
	i := slices.IndexFunc(story.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		return "", false
	}
	return string(story.Files[i].Data), true
}

func set(story *txtar.Archive, name, text string) {
	if i := slices.IndexFunc(story.Files, func(f txtar.File) bool { return f.Name == name }); i >= 0 {
		story.Files[i].Data = []byte(text)
		return
	}
	story.Files = append(story.Files, txtar.File{Name: name, Data: []byte(text)})
}
