// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin

import (
	"maps"
	"math/bits"
	"slices"
	"strconv"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Sizes of a ConfigMap's data, keys and values, in bytes.
const (
	// sizeLimit is where the API server refuses: "may not be more than 1048576
	// bytes" (k8s.io/kubernetes, pkg/apis/core/validation, ValidateConfigMap, which
	// counts values alone).
	sizeLimit = 1 << 20
	// stayLimit is what a shard may grow to before nodes leave it. The rest is for
	// what the API server and etcd add.
	stayLimit = 900 << 10
	// placeLimit is what a shard is filled to. The room above it lets the nodes in it
	// grow where they are.
	placeLimit = 768 << 10
)

// Shards is where the configurations of all nodes are stored.
type Shards struct {
	// Data of the ConfigMaps, by node name. The name of number i is
	// ConfigMapName(i). There is at least one; it may be empty.
	Data []map[string]string
	// TooLarge are the nodes, sorted, whose configuration does not fit into a
	// ConfigMap even alone. They are left out so that the others are served.
	TooLarge []string
}

// ConfigMapName is the name of the ConfigMap that stores a shard. The first has the
// name that other software knows.
func ConfigMapName(shard int) string {
	if shard == 0 {
		return sriovv1.ConfigMapDevicePluginConfig
	}
	return sriovv1.ConfigMapDevicePluginConfig + "-" + strconv.Itoa(shard)
}

// Mounts are the ConfigMaps that the device plugin's DaemonSet mounts for so many
// shards: one, or the next power of two, so that the pods' template changes only
// when the number of shards doubles.
func Mounts(shards int) []string {
	n := 1
	if shards > 1 {
		n = 1 << bits.Len(uint(shards-1))
	}
	names := make([]string, n)
	for i := range names {
		names[i] = ConfigMapName(i)
	}
	return names
}

// Shard spreads the configurations, by node name, over as few ConfigMaps as their
// size needs. before is where they are now, in the order of ConfigMapName, or nil.
//
// The DaemonSet is one for all nodes and a volume cannot be chosen by node, so every
// pod mounts all shards as optional sources of one projected volume, and the node's
// file has the same path in whichever shard its key is. While all fits into one
// ConfigMap there is one, as other software expects, and all nodes return to it when
// they fit again with room to spare.
//
// A node stays where it is. It moves only when its shard grows over the limit, and
// then no more nodes move than that takes. Who writes the ConfigMaps adds a key to
// its new shard before removing it from the old: a projected volume takes a key that
// is in two sources from the later one, and never misses it.
//
// The price is that every kubelet watches every shard. A change of one node is sent
// to all nodes as the whole of its shard, as it is today with a single ConfigMap.
func Shard(configs map[string]string, before []map[string]string) Shards {
	var s Shards
	total, names := 0, make([]string, 0, len(configs))
	for _, node := range slices.Sorted(maps.Keys(configs)) {
		size := sizeOf(node, configs[node])
		if size > sizeLimit {
			s.TooLarge = append(s.TooLarge, node)
			continue
		}
		total += size
		names = append(names, node)
	}
	if total <= placeLimit || total <= stayLimit && len(before) <= 1 {
		s.Data = []map[string]string{gather(configs, names)}
		return s
	}
	s.Data = place(configs, names, before)
	return s
}

// gather is the part of the configurations that belongs to the nodes.
func gather(configs map[string]string, nodes []string) map[string]string {
	out := make(map[string]string, len(nodes))
	for _, node := range nodes {
		out[node] = configs[node]
	}
	return out
}

// shard is a ConfigMap while it is filled.
type shard struct {
	data map[string]string
	size int
}

// put adds a node if the shard then is not over the limit. The first node of a shard
// always fits.
func (s *shard) put(node, config string, limit int) bool {
	size := sizeOf(node, config)
	if s.size+size > limit && len(s.data) > 0 {
		return false
	}
	s.data[node] = config
	s.size += size
	return true
}

// place keeps nodes where they are, as far as they fit, and puts the others into the
// first shard with room. Nodes are taken by name.
func place(configs map[string]string, names []string, before []map[string]string) []map[string]string {
	shards := make([]shard, max(1, len(before)))
	for i := range shards {
		shards[i].data = map[string]string{}
	}
	var homeless []string
	for _, node := range names {
		home := slices.IndexFunc(before, func(data map[string]string) bool { _, ok := data[node]; return ok })
		if home < 0 || !shards[home].put(node, configs[node], stayLimit) {
			homeless = append(homeless, node)
		}
	}
	for _, node := range homeless {
		i := slices.IndexFunc(shards, func(s shard) bool { return s.size+sizeOf(node, configs[node]) <= placeLimit })
		if i < 0 {
			i = len(shards)
			shards = append(shards, shard{data: map[string]string{}})
		}
		shards[i].put(node, configs[node], placeLimit)
	}
	// A shard in the middle may be empty; those at the end are not needed.
	for len(shards) > 1 && len(shards[len(shards)-1].data) == 0 {
		shards = shards[:len(shards)-1]
	}
	out := make([]map[string]string, len(shards))
	for i := range shards {
		out[i] = shards[i].data
	}
	return out
}

func sizeOf(node, config string) int { return len(node) + len(config) }
