// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func TestAVFThatAProgramHoldsIsNamedWhenTimeIsUp(t *testing.T) {
	m := newMachine(t, `
pfs:
- {pci: "0000:01:00.0", model: "82576", name: eth0, mac: "02:00:00:00:00:01"}
`)
	pf := hw.PCIAddr{Bus: 1}
	node, _ := desired.New([]desired.PF{{Addr: pf, NumVFs: 2, Groups: []desired.Group{
		{Policy: "p", Resource: "r", Range: hw.VFRange{First: 1, Last: 1}, Driver: desired.VFIO},
	}}}, "")
	mustConverge(t, m, node)
	if err := m.HoldVF(hw.VFRef{PF: pf, Index: 1}); err != nil {
		t.Fatal(err)
	}
	p, l := look(t, m, desired.Node{})
	err := execute.Run(t.Context(), m.Host(), l, p, execute.Options{Now: time.Now, StepTimeout: 50 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "bound to vfio-pci (VF 1)") {
		t.Errorf("got %v", err)
	}
}

func TestADriverThatIsNotThereIsNotWaitedFor(t *testing.T) {
	m := newMachine(t, `
pfs:
- {pci: "0000:01:00.0", model: "82576", name: eth0, mac: "02:00:00:00:00:01"}
missingModules: [vfio-pci]
`)
	pf := hw.PCIAddr{Bus: 1}
	node, _ := desired.New([]desired.PF{{Addr: pf, NumVFs: 2, Groups: []desired.Group{
		{Policy: "p", Resource: "r", Range: hw.VFRange{First: 1, Last: 1}, Driver: desired.VFIO},
	}}}, "")
	p, l := look(t, m, node)
	begin := time.Now()
	err := execute.Run(t.Context(), m.Host(), l, p, execute.Options{Now: time.Now, StepTimeout: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "the kernel has no driver vfio-pci") || !strings.Contains(err.Error(), "load module vfio_pci") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestVFsThatNoDriverTakesAreWaitedForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, `
pfs:
- {pci: "0000:01:00.0", model: "82576", name: eth0, mac: "02:00:00:00:00:01"}
missingModules: [igbvf]
`)
		node, _ := desired.New([]desired.PF{{Addr: hw.PCIAddr{Bus: 1}, NumVFs: 2, Groups: []desired.Group{
			{Policy: "p", Resource: "r", Range: hw.VFRange{Last: 1}},
		}}}, "")
		p, l := look(t, m, node)
		begin := time.Now()
		err := execute.Run(t.Context(), m.Host(), l, p, execute.Options{Now: time.Now, StepTimeout: time.Hour})
		if took := time.Since(begin); took < 30*time.Second || took > 2*time.Minute || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "VFs 0-1 have no driver") {
			t.Errorf("after %v: %v", took, err)
		}
	})
}
