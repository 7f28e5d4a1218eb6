// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
)

// text claims one NIC, by name.
func text(nic string) string {
	return fmt.Sprintf("interfaces: [{nicName: %s, numVfs: 4}]", nic)
}

// broken is a text that nobody can read.
const broken = "interfaces: [{nicName: x, numVfs: many}]"

func usual(data map[string]string) ConfigMap { return ConfigMap{Name: "sriov-configmap", Data: data} }

func more(name string, data map[string]string) ConfigMap { return ConfigMap{Name: name, Data: data} }

// holds is what holds for a node, in one line.
func holds(c Claims, node string) string {
	claim := c.Of(node)
	var nics []string
	for _, e := range claim.Entries {
		nics = append(nics, strings.TrimPrefix(e.Policy.Name, "sriov-configmap/"))
	}
	return strings.TrimSpace(claim.Standing.String() + " " + strings.Join(nics, " "))
}

// after is what holds for nodes after ConfigMaps followed each other.
func after(t *testing.T, nodes []string, history ...[]ConfigMap) (map[string]string, []Problem) {
	t.Helper()
	var c Claims
	var problems []Problem
	for _, now := range history {
		c, problems = Merge(c, now, catalog.Default())
	}
	out := map[string]string{}
	for _, n := range nodes {
		out[n] = holds(c, n)
	}
	return out, problems
}

type data = map[string]string

func TestWhatHoldsForANode(t *testing.T) {
	nodes := []string{"node1", "node2", "node3"}
	for name, c := range map[string]struct {
		history  [][]ConfigMap
		want     map[string]string
		problems int
	}{
		"nothing is there": {
			[][]ConfigMap{{}},
			data{"node1": "unclaimed", "node2": "unclaimed", "node3": "unclaimed"}, 0,
		},
		"each node has its key's, the others have default's": {
			[][]ConfigMap{{usual(data{"node1": text("a"), "node2": text("b"), "default": text("d")})}},
			data{"node1": "current node1/a", "node2": "current node2/b", "node3": "current default/d"}, 0,
		},
		"an empty list is none, not default's": {
			[][]ConfigMap{{usual(data{"node1": "interfaces: []", "default": text("d")})}},
			data{"node1": "current", "node2": "current default/d", "node3": "current default/d"}, 0,
		},
		"several ConfigMaps": {
			[][]ConfigMap{{usual(data{"node1": text("a")}), more("rack2", data{"node2": text("b"), "default": text("d")})}},
			data{"node1": "current node1/a", "node2": "current node2/b", "node3": "current default/d"}, 0,
		},
		"a key that breaks keeps what was good and touches no other": {
			[][]ConfigMap{
				{usual(data{"node1": text("a"), "node2": text("b"), "default": text("d")})},
				{usual(data{"node1": broken, "node2": text("c"), "default": text("e")})},
			},
			data{"node1": "kept node1/a", "node2": "current node2/c", "node3": "current default/e"}, 1,
		},
		"it is kept for as long as the key is broken": {
			[][]ConfigMap{{usual(data{"node1": text("a")})}, {usual(data{"node1": broken})}, {usual(data{"node1": ""})}, {usual(data{"node1": broken})}},
			data{"node1": "kept node1/a", "node2": "unclaimed", "node3": "unclaimed"}, 1,
		},
		"a key that is mended counts again": {
			[][]ConfigMap{{usual(data{"node1": text("a")})}, {usual(data{"node1": broken})}, {usual(data{"node1": text("b")})}},
			data{"node1": "current node1/b", "node2": "unclaimed", "node3": "unclaimed"}, 0,
		},
		"a key that is removed while it is broken is gone": {
			[][]ConfigMap{{usual(data{"node1": text("a")})}, {usual(data{"node1": broken})}, {usual(data{})}},
			data{"node1": "unclaimed", "node2": "unclaimed", "node3": "unclaimed"}, 0,
		},
		"a broken key that was never good is unknown, and does not fall back to default": {
			[][]ConfigMap{{usual(data{"node1": broken, "default": text("d")})}},
			data{"node1": "unknown", "node2": "current default/d", "node3": "current default/d"}, 1,
		},
		"it stays unknown until it is mended": {
			[][]ConfigMap{{usual(data{"node1": broken})}, {usual(data{"node1": broken, "default": text("d")})}},
			data{"node1": "unknown", "node2": "current default/d", "node3": "current default/d"}, 1,
		},
		"a new key that is broken keeps what default gave its node, also when default changes": {
			[][]ConfigMap{{usual(data{"default": text("d")})}, {usual(data{"node1": broken, "default": text("e")})}},
			data{"node1": "kept default/d", "node2": "current default/e", "node3": "current default/e"}, 1,
		},
		"a new key that is broken keeps that nothing was claimed": {
			[][]ConfigMap{{usual(data{})}, {usual(data{"node1": broken})}},
			data{"node1": "kept", "node2": "unclaimed", "node3": "unclaimed"}, 1,
		},
		"a default that breaks is kept for all who have it": {
			[][]ConfigMap{{usual(data{"node1": text("a"), "default": text("d")})}, {usual(data{"node1": text("b"), "default": broken})}},
			data{"node1": "current node1/b", "node2": "kept default/d", "node3": "kept default/d"}, 1,
		},
		"a default that was never good is unknown for all without a key": {
			[][]ConfigMap{{usual(data{"node1": text("a"), "default": broken})}},
			data{"node1": "current node1/a", "node2": "unknown", "node3": "unknown"}, 1,
		},
		"a new broken key under a default that is unknown is unknown, too": {
			[][]ConfigMap{{usual(data{"default": broken})}, {usual(data{"default": broken, "node1": broken})}},
			data{"node1": "unknown", "node2": "unknown", "node3": "unknown"}, 2,
		},
		"a key without an own text falls to default": {
			[][]ConfigMap{{usual(data{"node1": text("a"), "default": text("d")})}, {usual(data{"default": text("d")})}},
			data{"node1": "current default/d", "node2": "current default/d", "node3": "current default/d"}, 0,
		},
		"a node that two ConfigMaps name keeps what it had, whichever is first": {
			[][]ConfigMap{{usual(data{"node1": text("a")})}, {usual(data{"node1": text("b")}), more("a-first", data{"node1": text("c"), "node2": text("d")})}},
			data{"node1": "kept node1/a", "node2": "current node2/d", "node3": "unclaimed"}, 2,
		},
		"a node that moves from one ConfigMap to another, in two steps, ends there": {
			[][]ConfigMap{
				{usual(data{"node1": text("a")})},
				{usual(data{"node1": text("a")}), more("rack2", data{"node1": text("b")})},
				{usual(data{}), more("rack2", data{"node1": text("b")})},
			},
			data{"node1": "current node1/b", "node2": "unclaimed", "node3": "unclaimed"}, 0,
		},
		"a node that two ConfigMaps name from the beginning is unknown": {
			[][]ConfigMap{{usual(data{"node1": text("a")}), more("rack2", data{"node1": text("a")})}},
			data{"node1": "unknown", "node2": "unclaimed", "node3": "unclaimed"}, 2,
		},
		"a key that can be no node's name touches nobody": {
			[][]ConfigMap{{usual(data{"Node_1": text("a"), "node1": text("b")})}},
			data{"node1": "current node1/b", "node2": "unclaimed", "node3": "unclaimed"}, 1,
		},
		"a value that is no text breaks its key": {
			[][]ConfigMap{{usual(data{"node1": text("a")})}, {{Name: "sriov-configmap", Binary: []string{"node1"}}}},
			data{"node1": "kept node1/a", "node2": "unclaimed", "node3": "unclaimed"}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := after(t, nodes, c.history...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%v\n(-want +got):\n%s", problems, diff)
			}
			if len(problems) != c.problems {
				t.Errorf("%d problems, want %d: %v", len(problems), c.problems, problems)
			}
		})
	}
}

func TestANodeThatIsNamedTwiceIsRefusedByName(t *testing.T) {
	_, problems := after(t, nil, []ConfigMap{
		more("c", data{"node1": text("a")}), more("a", data{"node1": text("b")}), more("b", data{"node1": text("c")}),
	})
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	want := []string{
		"ConfigMap a, key node1: the key is also in ConfigMap b and c, and none of them counts; keep it in one of them",
		"ConfigMap b, key node1: the key is also in ConfigMap a and c, and none of them counts; keep it in one of them",
		"ConfigMap c, key node1: the key is also in ConfigMap a and b, and none of them counts; keep it in one of them",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhichConfigMapsAreRead(t *testing.T) {
	const label = "sriovnetwork.openshift.io/sriov-configmap"
	for name, c := range map[string]struct {
		name   string
		labels map[string]string
		want   bool
	}{
		"the one of the name":            {"sriov-configmap", nil, true},
		"one with the label":             {"rack2", data{label: "true"}, true},
		"one whose label says no":        {"rack2", data{label: "false"}, false},
		"one whose name only looks like": {"sriov-configmap-2", nil, false},
	} {
		if got := Selects(c.name, c.labels); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestATypeThatTheNICListLosesKeepsItsKey(t *testing.T) {
	now := []ConfigMap{usual(data{"node1": "interfaces: [{nicType: Nvidia_mlx5_ConnectX-5, numVfs: 1}]"})}
	c, problems := Merge(Claims{}, now, catalog.Default())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	small, _ := catalog.Parse(map[string]string{"Intel_ice_Columbiaville_E810": "8086 1591 1889"})
	c, problems = Merge(c, now, small)
	if got := holds(c, "node1"); len(problems) != 1 || got != "kept node1/Nvidia_mlx5_ConnectX-5" {
		t.Errorf("got %s, %v", got, problems)
	}
	c, problems = Merge(c, now, catalog.Default())
	if got := holds(c, "node1"); len(problems) != 0 || got != "current node1/Nvidia_mlx5_ConnectX-5" {
		t.Errorf("got %s, %v", got, problems)
	}
}

func TestOnlyWhatRendersDifferentlyHasChanged(t *testing.T) {
	before := []ConfigMap{usual(data{"node1": text("a"), "node2": text("b"), "default": text("d")})}
	for name, c := range map[string]struct {
		now  []ConfigMap
		want []string
	}{
		"nothing":                               {before, nil},
		"a comment":                             {[]ConfigMap{usual(data{"node1": "# first\n" + text("a"), "node2": text("b"), "default": text("d")})}, nil},
		"the ConfigMap that has it":             {[]ConfigMap{more("x", data{"node1": text("a"), "node2": text("b"), "default": text("d")})}, nil},
		"a key that breaks, since it is kept":   {[]ConfigMap{usual(data{"node1": broken, "node2": text("b"), "default": text("d")})}, nil},
		"a value":                               {[]ConfigMap{usual(data{"node1": text("x"), "node2": text("b"), "default": text("d")})}, []string{"node1"}},
		"a key more, a key less, and a default": {[]ConfigMap{usual(data{"node1": text("a"), "node3": text("c"), "default": text("x")})}, []string{"default", "node2", "node3"}},
		"all are gone":                          {nil, []string{"default", "node1", "node2"}},
	} {
		t.Run(name, func(t *testing.T) {
			was, _ := Merge(Claims{}, before, catalog.Default())
			is, _ := Merge(was, c.now, catalog.Default())
			if diff := cmp.Diff(c.want, Changed(was, is)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	none, _ := Merge(Claims{}, nil, catalog.Default())
	lost, _ := Merge(Claims{}, []ConfigMap{usual(data{"node1": broken})}, catalog.Default())
	mended, _ := Merge(lost, []ConfigMap{usual(data{"node1": "interfaces: []"})}, catalog.Default())
	if got := Changed(lost, mended); !slices.Equal(got, []string{"node1"}) {
		t.Errorf("from unknown to none: changed are %v, want node1", got)
	}
	if got := Changed(Claims{}, none); got != nil {
		t.Errorf("from nothing seen to nothing there: changed are %v", got)
	}
}

// anyMaps draws ConfigMaps with names that differ; many of their keys are the same
// and some of them are broken.
func anyMaps(t *rapid.T, label string) []ConfigMap {
	texts := []string{text("a"), text("b"), "interfaces: []", broken, "", "interfaces: [{nicType: ConnectX-5, vfs: 2}, {name: c, vfs: 1}]"}
	var out []ConfigMap
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"sriov-configmap", "a", "z"}), 0, 3, rapid.ID).Draw(t, label) {
		cm := ConfigMap{Name: name, Data: data{}}
		for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"node1", "node2", "default", "Bad"}), 0, 4, rapid.ID).Draw(t, "keys") {
			cm.Data[key] = rapid.SampledFrom(texts).Draw(t, "text")
		}
		out = append(out, cm)
	}
	return out
}

func TestLawTheOrderOfConfigMapsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var one, two Claims
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			now := anyMaps(t, "now")
			var said, again []Problem
			one, said = Merge(one, now, catalog.Default())
			two, again = Merge(two, rapid.Permutation(now).Draw(t, "shuffled"), catalog.Default())
			if diff := cmp.Diff(said, again); diff != "" {
				t.Fatalf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(one.byKey, two.byKey); diff != "" {
				t.Fatalf("claims (-want +got):\n%s", diff)
			}
		}
	})
}

func TestLawAKeyTouchesNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, now := anyMaps(t, "before"), anyMaps(t, "now")
		last, _ := Merge(Claims{}, before, catalog.Default())
		want, _ := Merge(last, now, catalog.Default())
		// The same again, with node1's texts replaced.
		changed := make([]ConfigMap, len(now))
		for i, cm := range now {
			changed[i] = ConfigMap{Name: cm.Name, Data: data{}}
			for key, text := range cm.Data {
				if key == "node1" {
					text = rapid.SampledFrom([]string{broken, "interfaces: []", "\x00", "{"}).Draw(t, "instead")
				}
				changed[i].Data[key] = text
			}
		}
		got, _ := Merge(last, changed, catalog.Default())
		for _, node := range []string{"node2", "node3", "default"} {
			if diff := cmp.Diff(want.Of(node), got.Of(node)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", node, diff)
			}
		}
	})
}

func TestLawWhatWasReadBeforeIsReadAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, now := anyMaps(t, "before"), anyMaps(t, "now")
		last, _ := Merge(Claims{}, before, catalog.Default())
		forgetful := last
		forgetful.read = nil
		with, said := Merge(last, now, catalog.Default())
		without, again := Merge(forgetful, now, catalog.Default())
		if diff := cmp.Diff(without.byKey, with.byKey) + cmp.Diff(again, said); diff != "" {
			t.Fatalf("(-without memory +with):\n%s", diff)
		}
		if diff := cmp.Diff(with.byKey, must(Merge(with, now, catalog.Default())).byKey); diff != "" && len(said) == 0 {
			t.Fatalf("merged again it differs (-want +got):\n%s", diff)
		}
	})
}

func must(c Claims, _ []Problem) Claims { return c }

func TestHostileTextsTakeNoTime(t *testing.T) {
	size := maxText - 64
	for name, text := range map[string]string{
		"deep lists":      strings.Repeat("[", size),
		"deep mappings":   strings.Repeat("{a: ", size/4),
		"deep blocks":     strings.Repeat("- ", size/2),
		"many anchors":    "interfaces: [" + strings.Repeat("&a x, ", size/6) + "]",
		"many aliases":    "a: &a [x]\ninterfaces: [" + strings.Repeat("*a,", size/3) + "]",
		"many items":      "interfaces: [" + strings.Repeat("{},", size/3) + "]",
		"many fields":     "interfaces: [{" + strings.Repeat("nicNme: x, ", size/11) + "}]",
		"a long name":     "interfaces: [{nicName: " + strings.Repeat("x", size) + "}]",
		"a long field":    "interfaces: [{" + strings.Repeat("x", 900) + ": 1}]",
		"many documents":  strings.Repeat("---\n", size/4),
		"many directives": strings.Repeat("%Y\n", size/3),
		"many comments":   strings.Repeat("#\n", size/2),
		"quotes":          strings.Repeat("\"", size),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			r := of(text)
			if len(r.problems) == 0 || len(r.entries) > 0 {
				t.Errorf("it is read: %d entries", len(r.entries))
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			for _, p := range r.problems {
				if len(p.String()) > 1000 {
					t.Errorf("the message has %d bytes", len(p.String()))
				}
			}
			t.Logf("%v, %d problems, first: %.150s", time.Since(start), len(r.problems), r.problems[0])
		})
	}
}

// BenchmarkMerge is a fleet of 5,000 nodes of which one key changes.
func BenchmarkMerge(b *testing.B) {
	var fleet []ConfigMap
	for rack := range 10 {
		cm := ConfigMap{Name: fmt.Sprintf("rack%d", rack), Data: data{}}
		for node := range 500 {
			cm.Data[fmt.Sprintf("node-%d-%d", rack, node)] = "interfaces:\n" +
				"- {nicName: ens1f0, nicType: Nvidia_mlx5_ConnectX-5, numVfs: 8}\n- {nicName: ens1f1, nicType: Nvidia_mlx5_ConnectX-5, numVfs: 8}\n" +
				"- {nicName: ens2f0, nicType: Nvidia_mlx5_ConnectX-5, numVfs: 8}\n- {nicName: ens2f1, nicType: Nvidia_mlx5_ConnectX-5, numVfs: 8}\n"
		}
		fleet = append(fleet, cm)
	}
	nics := catalog.Default()
	b.Run("all keys are new", func(b *testing.B) {
		for b.Loop() {
			if c, problems := Merge(Claims{}, fleet, nics); len(c.Keys()) != 5000 || len(problems) > 0 {
				b.Fatal(problems)
			}
		}
	})
	last, _ := Merge(Claims{}, fleet, nics)
	fleet[3].Data["node-3-7"] = text("ens1f0")
	b.Run("one key changes", func(b *testing.B) {
		for b.Loop() {
			now, _ := Merge(last, fleet, nics)
			if len(Changed(last, now)) != 1 {
				b.Fatal("not one key changed")
			}
		}
	})
}
