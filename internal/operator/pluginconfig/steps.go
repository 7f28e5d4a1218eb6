// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package pluginconfig

import (
	"maps"
	"slices"
)

// limit is how many bytes of data a ConfigMap may have (k8s.io/kubernetes,
// pkg/apis/core/validation, ValidateConfigMap).
const limit = 1 << 20

// step is one write of one ConfigMap.
type step struct {
	shard  int
	set    map[string]string
	remove []string
}

// steps are the writes that lead from what is stored to what shall be, in order. Only
// keys that differ are written. A key that moves is added to its new ConfigMap before it is
// removed from the old one, and no ConfigMap is ever over the limit. Keys that no order
// can bring to where they belong are returned, sorted; they stay where they are.
func steps(before, after []map[string]string) (out []step, stuck []string) {
	now := make([]map[string]string, max(len(before), len(after)))
	for i := range now {
		now[i] = map[string]string{}
		if i < len(before) {
			maps.Copy(now[i], before[i])
		}
	}
	for {
		progress := false
		for i := range now {
			s := next(now, after, i)
			if len(s.set) == 0 && len(s.remove) == 0 {
				continue
			}
			apply(now[i], s)
			out, progress = append(out, s), true
		}
		if !progress {
			break
		}
	}
	for i := range after {
		for key, text := range after[i] {
			if got, ok := now[i][key]; !ok || got != text {
				stuck = append(stuck, key)
			}
		}
	}
	slices.Sort(stuck)
	return out, stuck
}

// next is all that can be written to one ConfigMap now.
func next(now, after []map[string]string, shard int) step {
	s := step{shard: shard, set: map[string]string{}}
	var want map[string]string
	if shard < len(after) {
		want = after[shard]
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(now[shard])) {
		if _, stays := want[key]; !stays && arrived(now, after, key) {
			s.remove = append(s.remove, key)
			continue
		}
		size += len(key) + len(now[shard][key])
	}
	// What becomes smaller goes first, since it makes room.
	for _, shrinking := range []bool{true, false} {
		for _, key := range slices.Sorted(maps.Keys(want)) {
			was, had := now[shard][key]
			grows := len(want[key])
			if had {
				grows -= len(was)
			} else {
				grows += len(key)
			}
			if had && was == want[key] || (grows <= 0) != shrinking || size+grows > limit {
				continue
			}
			s.set[key] = want[key]
			size += grows
		}
	}
	return s
}

// arrived reports whether a key is where it shall be, or shall be nowhere.
func arrived(now, after []map[string]string, key string) bool {
	for i := range after {
		if _, here := after[i][key]; here {
			_, there := now[i][key]
			return there
		}
	}
	return true
}

func apply(data map[string]string, s step) {
	maps.Copy(data, s.set)
	for _, key := range s.remove {
		delete(data, key)
	}
}
