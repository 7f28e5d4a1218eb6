// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin_test

import (
	"fmt"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
)

// BenchmarkRender renders one node with eight PFs of 64 VFs and 21 policies.
func BenchmarkRender(b *testing.B) {
	in := fleetNode(fleetPolicies()).input(b)
	b.ReportAllocs()
	for b.Loop() {
		deviceplugin.Render(in)
	}
}

// BenchmarkFleet renders 5,000 nodes with 21 policies each, as text in shards, from
// policies that are parsed once.
func BenchmarkFleet(b *testing.B) {
	in := fleetNode(fleetPolicies()).input(b)
	names := make([]string, 5000)
	for i := range names {
		names[i] = fmt.Sprintf("worker-%05d.example.com", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		configs := make(map[string]string, len(names))
		for _, name := range names {
			config, err := deviceplugin.Render(in).Config.JSON()
			if err != nil {
				b.Fatal(err)
			}
			configs[name] = config
		}
		if s := deviceplugin.Shard(configs, nil); len(s.Data) < 2 {
			b.Fatalf("%d shards", len(s.Data))
		}
	}
}

// BenchmarkShard places 5,000 nodes that are stored already.
func BenchmarkShard(b *testing.B) {
	configs := fleet(b, 5000)
	before := deviceplugin.Shard(configs, nil).Data
	b.ReportAllocs()
	for b.Loop() {
		deviceplugin.Shard(configs, before)
	}
}
