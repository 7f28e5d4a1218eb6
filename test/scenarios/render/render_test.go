// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

var update = flag.Bool("update", false, "write what comes out into the stories; review every line")

// The parts of a story.
const (
	partState    = "state.yaml"
	partPolicies = "policies.yaml"
	partSpec     = "want/spec.yaml"
	partTrace    = "want/trace"
)

func TestStories(t *testing.T) {
	files, err := filepath.Glob("*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d stories, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".txtar"), func(t *testing.T) {
			story, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(bytes.TrimSpace(story.Comment)) == 0 {
				t.Error("a story begins with a sentence that says what it is about")
			}
			got := tell(t, story)
			if *update {
				write(t, file, story, got)
				return
			}
			for _, part := range []string{partSpec, partTrace} {
				if diff := cmp.Diff(string(read(t, story, part)), got[part]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", part, diff)
				}
			}
		})
	}
}

// tell renders a story, once in the order of the file and once in reverse.
func tell(t *testing.T, story *txtar.Archive) map[string]string {
	t.Helper()
	state, err := wire.DecodeNodeState(read(t, story, partState))
	if err != nil {
		t.Fatal(err)
	}
	inv := wire.Inventory(state.Status)
	if len(inv.Problems) != 0 {
		t.Fatalf("%s: %v", partState, inv.Problems)
	}
	policies := decodePolicies(t, read(t, story, partPolicies))
	got := text(t, policies, state)
	slices.Reverse(policies)
	again := text(t, policies, state)
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("with the policies in reverse (-file +reverse):\n%s", diff)
	}
	return got
}

// text renders the policies on the node that the state is of. The labels of the
// state are taken for the node's; without any, they are not known.
func text(t *testing.T, policies []sriovv1.SriovNetworkNodePolicy, state sriovv1.SriovNetworkNodeState) map[string]string {
	t.Helper()
	result := nodestate.Render(nodestate.Input{
		Policies:  policies,
		Node:      nodestate.Node{Name: state.Name, Labels: state.Labels, LabelsUnknown: len(state.Labels) == 0},
		Inventory: wire.Inventory(state.Status), Catalog: catalog.Default(),
	})
	spec, err := yaml.Marshal(wire.Spec(result.Desired))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		partSpec:  string(spec),
		partTrace: strings.Join(result.Trace.Sentences(), "\n") + "\n",
	}
}

func decodePolicies(t *testing.T, docs []byte) []sriovv1.SriovNetworkNodePolicy {
	t.Helper()
	var out []sriovv1.SriovNetworkNodePolicy
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(docs)))
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := wire.QuoteIDs(doc)
		if err != nil {
			t.Fatal(err)
		}
		var p sriovv1.SriovNetworkNodePolicy
		if err := yaml.UnmarshalStrict(quoted, &p); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		out = append(out, p)
	}
}

func read(t *testing.T, story *txtar.Archive, part string) []byte {
	t.Helper()
	i := slices.IndexFunc(story.Files, func(f txtar.File) bool { return f.Name == part })
	if i < 0 {
		if *update {
			return nil
		}
		t.Fatalf("the story has no part %s", part)
	}
	return story.Files[i].Data
}

func write(t *testing.T, file string, story *txtar.Archive, got map[string]string) {
	t.Helper()
	for _, part := range []string{partSpec, partTrace} {
		i := slices.IndexFunc(story.Files, func(f txtar.File) bool { return f.Name == part })
		if i < 0 {
			i = len(story.Files)
			story.Files = append(story.Files, txtar.File{Name: part})
		}
		story.Files[i].Data = []byte(got[part])
	}
	if err := os.WriteFile(file, txtar.Format(story), 0o644); err != nil {
		t.Fatal(err)
	}
}
