// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
)

// objectLimit is what the API server allows.
const objectLimit = 1 << 20

// fleet is so many nodes with 21 policies each.
func fleet(t fataler, nodes int) map[string]string {
	t.Helper()
	out := make(map[string]string, nodes)
	config := text(t, deviceplugin.Render(fleetNode(fleetPolicies()).input(t)))
	for i := range nodes {
		out[fmt.Sprintf("worker-%05d.example.com", i)] = config
	}
	return out
}

// holds fails unless the shards hold exactly the configurations, each once, and
// each shard may be stored.
func holds(t fataler, s deviceplugin.Shards, configs map[string]string) {
	t.Helper()
	all := map[string]string{}
	for i, data := range s.Data {
		size := 0
		for node, config := range data {
			if _, double := all[node]; double {
				t.Fatalf("%s is stored twice", node)
			}
			all[node] = config
			size += len(node) + len(config)
		}
		if size > objectLimit {
			t.Fatalf("shard %d has %d bytes", i, size)
		}
	}
	if !maps.Equal(all, configs) {
		t.Fatalf("%d nodes are stored, want %d", len(all), len(configs))
	}
}

// home is the shard of each node.
func home(s deviceplugin.Shards) map[string]int {
	out := map[string]int{}
	for i, data := range s.Data {
		for node := range data {
			out[node] = i
		}
	}
	return out
}

// moved are the nodes that are in both and not in the same shard.
func moved(before, after deviceplugin.Shards) int {
	n, now := 0, home(after)
	for node, i := range home(before) {
		if j, ok := now[node]; ok && i != j {
			n++
		}
	}
	return n
}

func TestASmallClusterHasTheOneConfigMapThatOthersKnow(t *testing.T) {
	for _, configs := range []map[string]string{nil, {"n1": "{}"}, fleet(t, 100)} {
		s := deviceplugin.Shard(configs, nil)
		holds(t, s, configs)
		if len(s.Data) != 1 || deviceplugin.ConfigMapName(0) != "device-plugin-config" {
			t.Errorf("%d nodes: %d shards", len(configs), len(s.Data))
		}
	}
}

func TestLargeClustersNeverReachTheSizeLimit(t *testing.T) {
	for _, nodes := range []int{1000, 5000} {
		t.Run(fmt.Sprintf("%d nodes with 21 policies", nodes), func(t *testing.T) {
			configs := fleet(t, nodes)
			s := deviceplugin.Shard(configs, nil)
			holds(t, s, configs)
			total := 0
			for node, config := range configs {
				total += len(node) + len(config)
			}
			if total > objectLimit && len(s.Data) < 2 || len(s.Data) > 2+total/(700<<10) {
				t.Errorf("%d bytes are in %d shards", total, len(s.Data))
			}
			if !cmp.Equal(s, deviceplugin.Shard(configs, nil)) {
				t.Error("a second time gives other shards")
			}
			if again := deviceplugin.Shard(configs, s.Data); !cmp.Equal(s, again) {
				t.Error("what is stored is not left alone")
			}
		})
	}
}

func TestNodesThatComeAndGoMoveNoOther(t *testing.T) {
	configs := fleet(t, 3000)
	s := deviceplugin.Shard(configs, nil)
	for i := range 1000 {
		if i%2 == 0 {
			delete(configs, fmt.Sprintf("worker-%05d.example.com", i))
		}
		configs[fmt.Sprintf("aaa-%05d", i)] = configs["worker-02999.example.com"]
	}
	next := deviceplugin.Shard(configs, s.Data)
	holds(t, next, configs)
	if n := moved(s, next); n > 0 {
		t.Errorf("%d nodes moved", n)
	}
}

func TestAFullShardLosesNoMoreNodesThanItMust(t *testing.T) {
	configs := fleet(t, 3000)
	s := deviceplugin.Shard(configs, nil)
	// 40 % more for everyone is more than the room that is left in a shard.
	for node, config := range configs {
		configs[node] = config + strings.Repeat(" ", len(config)*2/5)
	}
	next := deviceplugin.Shard(configs, s.Data)
	holds(t, next, configs)
	// 768 KiB times 1.4 is 1075 KiB; 900 stay, so 1 in 6 leaves.
	if n := moved(s, next); n == 0 || n > 3000/6+len(s.Data) {
		t.Errorf("%d of 3000 nodes moved", n)
	}
}

func TestNodesReturnToTheOneConfigMapWhenTheyFitAgain(t *testing.T) {
	configs := fleet(t, 3000)
	s := deviceplugin.Shard(configs, nil)
	few := map[string]string{}
	for _, node := range slices.Sorted(maps.Keys(configs))[2900:] {
		few[node] = configs[node]
	}
	next := deviceplugin.Shard(few, s.Data)
	holds(t, next, few)
	if len(next.Data) != 1 {
		t.Errorf("%d shards", len(next.Data))
	}
}

func TestTheOneConfigMapGrowsIntoItsRoomBeforeNodesLeaveIt(t *testing.T) {
	configs := map[string]string{"n1": strings.Repeat("x", 400<<10), "n2": strings.Repeat("x", 300<<10)}
	s := deviceplugin.Shard(configs, nil)
	configs["n3"] = strings.Repeat("x", 190<<10)
	if s = deviceplugin.Shard(configs, s.Data); len(s.Data) != 1 {
		t.Errorf("890 KiB are in %d shards", len(s.Data))
	}
	configs["n4"] = strings.Repeat("x", 20<<10)
	s = deviceplugin.Shard(configs, s.Data)
	holds(t, s, configs)
	if want := map[string]int{"n1": 0, "n2": 0, "n3": 0, "n4": 1}; !maps.Equal(home(s), want) {
		t.Errorf("910 KiB are in %v, want %v", home(s), want)
	}
	delete(configs, "n4")
	if s = deviceplugin.Shard(configs, s.Data); len(s.Data) != 1 {
		t.Errorf("the shard that nobody is in stays: %v", home(s))
	}
}

func TestANodeThatNoConfigMapCanHoldDoesNotStopTheOthers(t *testing.T) {
	configs := map[string]string{"n1": "{}", "huge": strings.Repeat("x", objectLimit), "large": strings.Repeat("x", objectLimit-10)}
	s := deviceplugin.Shard(configs, nil)
	if !slices.Equal(s.TooLarge, []string{"huge"}) {
		t.Errorf("too large: %v", s.TooLarge)
	}
	delete(configs, "huge")
	holds(t, s, configs)
}

func TestTheDaemonSetChangesOnlyWhenTheShardsDouble(t *testing.T) {
	for shards, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 8: 8, 9: 16} {
		names := deviceplugin.Mounts(shards)
		if len(names) != want || names[0] != "device-plugin-config" {
			t.Errorf("%d shards: %v", shards, names)
		}
	}
	if got := deviceplugin.Mounts(3)[3]; got != "device-plugin-config-3" {
		t.Errorf("the fourth is %s", got)
	}
}

func TestShardsStayWithinTheLimitWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		configs := map[string]string{}
		var s deviceplugin.Shards
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for i := range rapid.IntRange(0, 40).Draw(t, "nodes") {
				size := rapid.IntRange(0, 200<<10).Draw(t, "size")
				if size < 10<<10 {
					delete(configs, fmt.Sprint("n", i))
					continue
				}
				configs[fmt.Sprint("n", i)] = strings.Repeat("x", size)
			}
			s = deviceplugin.Shard(configs, s.Data)
			holds(t, s, configs)
			if again := deviceplugin.Shard(configs, s.Data); !cmp.Equal(s, again) {
				t.Fatalf("what is stored is not left alone")
			}
		}
	})
}
