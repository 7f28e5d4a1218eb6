// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
)

// policy is a policy without its spec.
const policy = "apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkNodePolicy\nmetadata: {name: p}\nspec:\n"

func read(t *testing.T, text string) manifest.Set {
	t.Helper()
	return manifest.Read([]string{manifest.Stdin}, strings.NewReader(text))
}

// lines are the problems and the notes, one in each line.
func lines(s manifest.Set) string {
	var out []string
	for _, p := range s.Problems {
		out = append(out, p.Error())
	}
	for _, n := range s.Notes {
		out = append(out, n.String())
	}
	return strings.Join(out, "\n")
}

func TestWhatIsWrongIsSaidWithItsPlaceAndItsFix(t *testing.T) {
	const at = "standard input:5: document 1: SriovNetworkNodePolicy p: "
	for name, c := range map[string]struct{ text, want string }{
		"a field that does not exist": {
			policy + "  numVFs: 3",
			at + "spec.numVFs: there is no such field; did you mean numVfs?",
		},
		"a field that is like no other": {
			policy + "  zebra: 3",
			at + "spec.zebra: there is no such field",
		},
		"a field that is given twice": {
			policy + "  numVfs: 3\n  numVfs: 4",
			"standard input:6: document 1: SriovNetworkNodePolicy p: spec.numVfs: the field is given twice; remove one of them",
		},
		"a key that is given twice": {
			policy + "  nodeSelector: {a: b, a: c}",
			at + "spec.nodeSelector[a]: the key is given twice; remove one of them",
		},
		"a word where a number belongs": {
			policy + "  numVfs: many",
			at + `spec.numVfs: "many" is no whole number`,
		},
		"a fraction where a number belongs": {
			policy + "  mtu: 1.5",
			at + `spec.mtu: "1.5" is no whole number`,
		},
		"a word where true or false belongs": {
			policy + "  isRdma: maybe",
			at + `spec.isRdma: "maybe" is neither true nor false`,
		},
		"a number where text belongs": {
			policy + "  resourceName: 12",
			at + `spec.resourceName: 12 without quotes is a number, and text is needed here; write "12", with the quotes`,
		},
		"a boolean in a node selector": {
			policy + "  nodeSelector: {capable: true}",
			at + `spec.nodeSelector[capable]: true without quotes is true or false, and text is needed here; write "true", with the quotes`,
		},
		"a single value where a list belongs": {
			policy + "  nicSelector: {pfNames: ens1f0}",
			at + `spec.nicSelector.pfNames: a list is needed here, and this is "ens1f0"`,
		},
		"a list where a single value belongs": {
			policy + "  numVfs: [1]",
			at + `spec.numVfs: a single value is needed here, and this is a list`,
		},
		"a mapping in a list of names": {
			policy + "  nicSelector:\n    pfNames:\n    - a: b",
			"standard input:7: document 1: SriovNetworkNodePolicy p: spec.nicSelector.pfNames[0]: a single value is needed here, and this is a mapping",
		},
		"a list where an object belongs": {
			policy + "  nicSelector: [a]",
			at + "spec.nicSelector: a mapping of fields is needed here, and this is a list",
		},
		"on without quotes where text belongs": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetwork\nmetadata: {name: p}\nspec:\n  trust: on",
			`standard input:5: document 1: SriovNetwork p: spec.trust: on without quotes is true or false, and text is needed here; write "on", with the quotes`,
		},
		"a negative number where none may be": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: OVSNetwork\nmetadata: {name: p}\nspec:\n  vlan: -1",
			`standard input:5: document 1: OVSNetwork p: spec.vlan: "-1" is no whole number from 0`,
		},
		"a kind that the group does not have": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkNodePolcy",
			"standard input:1: document 1: kind SriovNetworkNodePolcy: the group sriovnetwork.openshift.io has no such kind; did you mean SriovNetworkNodePolicy?",
		},
		"a version that the group does not have": {
			"apiVersion: sriovnetwork.openshift.io/v2\nkind: SriovNetwork",
			"standard input:1: document 1: apiVersion sriovnetwork.openshift.io/v2: the group has no such version; write sriovnetwork.openshift.io/v1",
		},
		"a kind of somebody else is only noted": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}",
			"standard input:1: document 1: skipped: v1 ConfigMap c is not ours",
		},
		"no kind": {
			"metadata: {name: c}",
			"standard input:1: document 1: apiVersion or kind is missing; an object of ours begins with apiVersion: sriovnetwork.openshift.io/v1",
		},
		"no object": {
			"- a\n- b",
			"standard input:1: document 1: it is no object: a mapping with apiVersion, kind, metadata and spec is needed",
		},
		"no YAML": {
			"\na: b: c",
			"standard input:2: document 1: not valid YAML: mapping values are not allowed in this context",
		},
		"nothing": {
			"# only words\n---\n",
			"standard input: there is no object in it",
		},
		"a list without items": {
			"apiVersion: v1\nkind: List",
			"standard input:1: document 1: the list has no items",
		},
		"a list in a list, as an alias can make": {
			"&a {apiVersion: v1, kind: List, items: [*a]}",
			"standard input:1: document 1: it is a list in a list; put its items into the outer list",
		},
		"the same object twice": {
			policy + "  numVfs: 3\n---\n" + policy + "  numVfs: 4\n",
			"standard input:9: document 2: SriovNetworkNodePolicy p: metadata.name: the object is given twice, first in standard input:1: document 1; remove one of them",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, lines(read(t, c.text))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneBadDocumentHidesNoOther(t *testing.T) {
	s := read(t, "a: b: c\n---\n"+policy+"  numVfs: x\n  mtu: y\n---\n"+policy+"  numVfs: 3\n---\nkind: List\napiVersion: v1\nitems:\n- "+
		strings.ReplaceAll(strings.ReplaceAll(policy, "name: p", "name: q"), "\n", "\n  ")+"  numVfs: 4\n- {kind: Node, apiVersion: v1}\n")
	if len(s.Problems) != 3 || len(s.Notes) != 1 {
		t.Errorf("said:\n%s", lines(s))
	}
	var got []string
	for _, p := range manifest.Of[*sriovv1.SriovNetworkNodePolicy](s) {
		got = append(got, p.Name)
	}
	if diff := cmp.Diff([]string{"p", "q"}, got); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
}

func TestD15IdsNeedNoQuotes(t *testing.T) {
	s := read(t, policy+"  nicSelector: {vendor: 15b3, deviceID: 1018}\n---\n"+
		strings.ReplaceAll(policy, "name: p", "name: q")+"  nicSelector: {vendor: 8086, deviceID: 0154}\n---\n"+
		strings.ReplaceAll(policy, "name: p", "name: r")+"  nicSelector: {vendor: \"8086\", deviceID: 1e10}\n")
	var got []string
	for _, p := range manifest.Of[*sriovv1.SriovNetworkNodePolicy](s) {
		got = append(got, p.Spec.NicSelector.Vendor+":"+p.Spec.NicSelector.DeviceID)
	}
	if diff := cmp.Diff([]string{"15b3:1018", "8086:0154", "8086:1e10"}, got); diff != "" {
		t.Errorf("%s\n(-want +got):\n%s", lines(s), diff)
	}
}

func TestWhatKubernetesReadsIsRead(t *testing.T) {
	s := read(t, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata:
  name: p
  creationTimestamp: 2024-01-02T03:04:05Z
  labels: &labels {a: "1"}
  annotations: *labels
  managedFields: [{manager: kubectl, fieldsV1: {"f:spec": {}}, time: 2024-01-02T03:04:05Z}]
spec:
  numVfs: 4
  isRdma: yes
  priority: 0
  nodeSelector: {<<: *labels, b: "2"}
  nicSelector:
    pfNames: [ens1f0]
  vdpaType:
status: {}
---
{"apiVersion": "sriovnetwork.openshift.io/v1", "kind": "SriovNetworkPoolConfigList", "items": [
  {"apiVersion": "sriovnetwork.openshift.io/v1", "kind": "SriovNetworkPoolConfig", "metadata": {"name": "pool"}, "spec": {"maxUnavailable": "50%"}}]}
`)
	if len(s.Problems) > 0 || len(s.Objects) != 2 {
		t.Fatalf("%d objects:\n%s", len(s.Objects), lines(s))
	}
	p := manifest.Of[*sriovv1.SriovNetworkNodePolicy](s)[0]
	if !p.Spec.IsRdma || *p.Spec.Priority != 0 || p.Spec.NodeSelector["a"] != "1" || p.CreationTimestamp.Year() != 2024 {
		t.Errorf("got %+v", p)
	}
	if pool := manifest.Of[*sriovv1.SriovNetworkPoolConfig](s)[0]; pool.Spec.MaxUnavailable.String() != "50%" {
		t.Errorf("maxUnavailable is %s", pool.Spec.MaxUnavailable)
	}
	if at := s.Objects[0].At("spec.nicSelector.pfNames[0]"); at.Line != 16 {
		t.Errorf("pfNames[0] is in line %d", at.Line)
	}
	if at := s.Objects[0].At("spec.nicSelector.rootDevices[3]"); at.Line != 15 {
		t.Errorf("what is not there is near line %d", at.Line)
	}
}

func TestFilesAndFolders(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": policy, "a.yml": strings.ReplaceAll(policy, "name: p", "name: first"), "c.json": `{"apiVersion": "v1", "kind": "Pod"}`,
		"notes.txt": "no YAML: at: all", "broken.yaml": "a: b: c",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	empty := t.TempDir()
	s := manifest.Read([]string{dir, empty, filepath.Join(dir, "none.yaml")}, nil)
	got := strings.ReplaceAll(strings.ReplaceAll(lines(s), dir, "DIR"), empty, "EMPTY")
	want := `DIR/broken.yaml:1: document 1: not valid YAML: mapping values are not allowed in this context
EMPTY: the folder has no file that ends in .yaml, .yml or .json
DIR/none.yaml: no such file or directory
DIR/c.json:1: document 1: skipped: v1 Pod without a name is not ours`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(s.Objects) != 2 || s.Objects[0].Name != "first" || s.Objects[1].Source.File != filepath.Join(dir, "b.yaml") {
		t.Errorf("objects %v", s.Objects)
	}
}

func TestStandardInputIsReadOnceAndAnEmptyNameIsNoFile(t *testing.T) {
	s := manifest.Read([]string{manifest.Stdin, "", manifest.Stdin}, strings.NewReader(policy))
	want := `"": the name is empty; name a file, a folder, or - for standard input
standard input: it is given twice, and standard input can be read only once; give - once`
	if diff := cmp.Diff(want, lines(s)); diff != "" || len(s.Objects) != 1 {
		t.Errorf("%d objects (-want +got):\n%s", len(s.Objects), diff)
	}
}

func TestAnInputThatEndsBadlyIsAProblem(t *testing.T) {
	s := manifest.Read([]string{manifest.Stdin}, iotest.ErrReader(errors.New("the pipe broke")))
	if got := lines(s); got != "standard input: read: the pipe broke" {
		t.Errorf("got %q", got)
	}
}

func TestMetadataOfOneKind(t *testing.T) {
	name := filepath.Join(t.TempDir(), "node.yaml")
	text := "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: Node\nmetadata:\n  name: n1\n  labels: {a: b}\nspec: {}\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	meta, err := manifest.Meta(name, "v1", "Node")
	if err != nil || meta.Name != "n1" || meta.Labels["a"] != "b" {
		t.Errorf("got %v, %v", meta, err)
	}
	if _, err := manifest.Meta(name, "v1", "Pod"); err == nil || !strings.Contains(err.Error(), "there is no Pod") {
		t.Errorf("got %v", err)
	}
	if _, err := manifest.Meta(name+"x", "v1", "Node"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzReadNeverPanics(f *testing.F) {
	for _, text := range []string{
		policy + "  numVfs: 3", "a: &a [*a]", "? {a: b}\n: c", "--- x", "{", policy + "  nicSelector: &n {<<: *n}",
		"kind: List\napiVersion: v1\nitems: [*x]", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]", "!!binary x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := manifest.Read([]string{manifest.Stdin}, strings.NewReader(text))
		if len(s.Objects)+len(s.Problems)+len(s.Notes) == 0 {
			t.Errorf("nothing is said of %q", text)
		}
	})
}

func TestTheConfigMapsOfNodesAreRead(t *testing.T) {
	s := read(t, `
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: sriov-configmap}
  data:
    node1: |
      interfaces: []
    node2.example.com: "interfaces: []"
  binaryData: {node3: /w==}
  immutable: true
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {sriovnetwork.openshift.io/sriov-configmap: "true"}}, data: {node4: 4}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b, labels: {app: x}}}
`)
	want := `standard input:14: document 1: ConfigMap a: data[node4]: 4 without quotes is a number, and text is needed here; write "4", with the quotes
standard input:15: document 1: skipped: v1 ConfigMap b is not ours`
	if diff := cmp.Diff(want, lines(s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	o, ok := s.Find(manifest.KindConfigMap, "", "sriov-configmap")
	maps := manifest.Of[*corev1.ConfigMap](s)
	if !ok || len(maps) != 1 || maps[0].Data["node1"] != "interfaces: []\n" || string(maps[0].BinaryData["node3"]) != "\xff" {
		t.Fatalf("read are %+v", maps)
	}
	for key, want := range map[string]int{"node1": 11, "node2.example.com": 11, "node3": 5} {
		if got := o.Inside(key, 2).Line; got != want {
			t.Errorf("line 2 of %s stands in line %d, want %d", key, got, want)
		}
	}
}
