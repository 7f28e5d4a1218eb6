// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"maps"
	"slices"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// gates are the feature gates as they are in force.
type gates struct {
	parallelNICs, matchCondition, exporter, bridges, blockPlugin bool
}

// knownGates are the feature gates with their defaults. mellanoxFirmwareReset is read
// by the daemon alone, from the operator configuration.
func knownGates() map[string]bool {
	return map[string]bool{
		sriovv1.FeatureParallelNICConfig:                false,
		sriovv1.FeatureResourceInjectorMatchCondition:   false,
		sriovv1.FeatureMetricsExporter:                  false,
		sriovv1.FeatureManageSoftwareBridges:            false,
		sriovv1.FeatureBlockDevicePluginUntilConfigured: true,
		sriovv1.FeatureMellanoxFirmwareReset:            true,
	}
}

// newGates lays the gates that are set over the defaults. The names that are not
// known come back sorted.
func newGates(set map[string]bool) (on gates, unknown []string) {
	all := knownGates()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, ok := all[name]; !ok {
			unknown = append(unknown, name)
			continue
		}
		all[name] = set[name]
	}
	return gates{
		parallelNICs:   all[sriovv1.FeatureParallelNICConfig],
		matchCondition: all[sriovv1.FeatureResourceInjectorMatchCondition],
		exporter:       all[sriovv1.FeatureMetricsExporter],
		bridges:        all[sriovv1.FeatureManageSoftwareBridges],
		blockPlugin:    all[sriovv1.FeatureBlockDevicePluginUntilConfigured],
	}, unknown
}

// gateNames are the known names for a sentence.
func gateNames() string {
	return strings.Join(slices.Sorted(maps.Keys(knownGates())), ", ")
}
