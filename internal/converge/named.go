// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package converge

import (
	"context"
	"slices"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// naming is how long udev is waited for. Its events bring another look anyway.
const naming = 10 * time.Second

// AwaitNames waits until udev has named the representors that the plan has made on the
// machine that was seen, so that the next look shows names that last. Where the plan makes
// none, it does not wait.
func AwaitNames(ctx context.Context, h host.Host, p plan.Plan, saw hw.Inventory) error {
	if !slices.ContainsFunc(p.Lanes, func(l plan.Lane) bool { return representors(l, saw) }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, naming)
	defer cancel()
	return h.Udev.Settle(ctx)
}

// representors reports whether a lane makes representors: with the switchdev mode, or with
// VFs in it.
func representors(l plan.Lane, saw hw.Inventory) bool {
	pf, _ := saw.PF(l.PF)
	mode, _ := pf.Eswitch.Get()
	return slices.ContainsFunc(l.Steps, func(s plan.Step) bool {
		switch a := s.Do.(type) {
		case plan.SetEswitchMode:
			return a.To == hw.EswitchSwitchdev
		case plan.SetNumVFs:
			return a.To > 0 && mode == hw.EswitchSwitchdev
		default:
			return false
		}
	})
}
