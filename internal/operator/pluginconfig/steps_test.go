// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package pluginconfig

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type shard = map[string]string

func TestOnlyKeysThatDifferAreWritten(t *testing.T) {
	tests := map[string]struct {
		before, after []shard
		want          []step
	}{
		"nothing is stored yet": {
			after: []shard{{"a": "1", "b": "2"}},
			want:  []step{{shard: 0, set: shard{"a": "1", "b": "2"}}},
		},
		"nothing differs": {
			before: []shard{{"a": "1"}}, after: []shard{{"a": "1"}},
		},
		"one changes, one comes and one goes": {
			before: []shard{{"a": "1", "b": "2", "c": "3"}}, after: []shard{{"a": "1", "b": "9", "d": "4"}},
			want: []step{{shard: 0, set: shard{"b": "9", "d": "4"}, remove: []string{"c"}}},
		},
		"a key that moves is added before it is removed": {
			before: []shard{{"a": "1", "b": "2"}, {}}, after: []shard{{"a": "1"}, {"b": "2"}},
			want: []step{{shard: 1, set: shard{"b": "2"}}, {shard: 0, set: shard{}, remove: []string{"b"}}},
		},
		"all return to the first": {
			before: []shard{{"a": "1"}, {"b": "2"}}, after: []shard{{"a": "1", "b": "2"}},
			want: []step{{shard: 0, set: shard{"b": "2"}}, {shard: 1, set: shard{}, remove: []string{"b"}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, stuck := steps(test.before, test.after)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(step{})); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if len(stuck) > 0 {
				t.Errorf("stuck %v", stuck)
			}
		})
	}
}

func TestAFullConfigMapMakesRoomBeforeItTakes(t *testing.T) {
	big := strings.Repeat("x", limit-200)
	before := []shard{{"a": big}, {"b": strings.Repeat("y", 300)}}
	after := []shard{{"b": strings.Repeat("y", 300)}, {"a": big}}
	got, stuck := steps(before, after)
	if len(got) > 0 || !cmp.Equal(stuck, []string{"a", "b"}) {
		t.Errorf("two that would have to change places at once: %d steps, stuck %v; want none and both", len(got), stuck)
	}
	after = []shard{{"b": strings.Repeat("y", 300)}, {}, {"a": big}}
	got, stuck = steps(before, after)
	if len(got) == 0 || len(stuck) > 0 {
		t.Errorf("with a third ConfigMap: %d steps, stuck %v; want all to be moved", len(got), stuck)
	}
}

// anyShards gives nodes to ConfigMaps, each to one, below the limit.
func anyShards(t *rapid.T, name string) []shard {
	out := make([]shard, rapid.IntRange(0, 4).Draw(t, name+" count"))
	for i := range out {
		out[i] = shard{}
	}
	for n := range 12 {
		if len(out) == 0 {
			break
		}
		i := rapid.IntRange(-1, len(out)-1).Draw(t, name+" place")
		text := strings.Repeat(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "text"), rapid.IntRange(1, 400<<10).Draw(t, "size"))
		if i >= 0 && sizeOf(out[i])+len(text)+10 <= limit {
			out[i][fmt.Sprintf("node-%02d", n)] = text
		}
	}
	return out
}

func sizeOf(data shard) int {
	size := 0
	for k, v := range data {
		size += len(k) + len(v)
	}
	return size
}

func TestLawNoKeyIsMissedOnTheWayAndNoConfigMapIsTooLarge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := anyShards(t, "before"), anyShards(t, "after")
		now := make([]shard, max(len(before), len(after)))
		for i := range now {
			now[i] = shard{}
			if i < len(before) {
				apply(now[i], step{set: before[i]})
			}
		}
		plan, stuck := steps(before, after)
		for _, s := range plan {
			apply(now[s.shard], s)
			if size := sizeOf(now[s.shard]); size > limit {
				t.Fatalf("ConfigMap %d has %d bytes", s.shard, size)
			}
			for _, key := range keysIn(before) {
				if has(after, key) && !has(now, key) {
					t.Fatalf("%s is nowhere", key)
				}
			}
		}
		if len(stuck) > 0 {
			return
		}
		for i := range now {
			want := shard{}
			if i < len(after) {
				want = after[i]
			}
			if !cmp.Equal(want, now[i]) {
				t.Fatalf("ConfigMap %d did not become what it shall be", i)
			}
		}
	})
}

func keysIn(shards []shard) []string {
	var out []string
	for _, s := range shards {
		for k := range s {
			out = append(out, k)
		}
	}
	return out
}

func has(shards []shard, key string) bool {
	for _, s := range shards {
		if _, ok := s[key]; ok {
			return true
		}
	}
	return false
}

func TestOnlyNamesOfShardsAreShards(t *testing.T) {
	for name, want := range map[string]int{
		"device-plugin-config": 0, "device-plugin-config-1": 1, "device-plugin-config-12": 12,
		"device-plugin-config-0": -1, "device-plugin-config-01": -1, "device-plugin-config-x": -1, "other": -1,
	} {
		got, ok := shardOf(name)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%s is shard %d, want %d", name, got, want)
		}
	}
}
