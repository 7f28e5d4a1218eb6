// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/atboot"
	"github.com/kubeovn/sriov-network-operator/internal/daemon"
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/loglevel"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

func TestASpecBecomesVFsAndTheStatusSaysSo(t *testing.T) {
	n := newNode(t, connectX5)
	n.start()
	first := n.awaitSync(sriovv1.SyncStatusSucceeded)
	if len(first.Status.Interfaces) != 2 || first.Status.Interfaces[0].TotalVfs != 8 {
		t.Errorf("before anybody asks for anything, the status shows %+v", first.Status.Interfaces)
	}
	n.awaitNode(sriovv1.DrainIdle)
	n.want(
		sriovv1.Interface{PciAddress: "0000:5f:00.0", Name: "ens41f0np0", NumVfs: 3, EswitchMode: "switchdev", VfGroups: []sriovv1.VfGroup{{PolicyName: "policy", ResourceName: "cx_sriov_switchdev", VfRange: "0-2"}}},
		sriovv1.Interface{PciAddress: "0000:5f:00.1", Name: "ens41f1np1", NumVfs: 3, EswitchMode: "switchdev", VfGroups: []sriovv1.VfGroup{{PolicyName: "policy", ResourceName: "cx_sriov_switchdev", VfRange: "0-2"}}},
	)
	s := n.awaitSync(sriovv1.SyncStatusSucceeded)
	for _, pf := range s.Status.Interfaces {
		if pf.NumVfs != 3 || len(pf.VFs) != 3 || pf.EswitchMode != "switchdev" || !meta.IsStatusConditionTrue(pf.Conditions, sriovv1.ConditionReady) {
			t.Errorf("PF %s: %+v", pf.Name, pf)
		}
		for i, vf := range pf.VFs {
			if vf.VfID != i || vf.Driver != "mlx5_core" || vf.Mac == "" || vf.Mtu == 0 || vf.DeviceID != "1018" || vf.RepresentorName == "" || vf.Name == "" {
				t.Errorf("VF %d of %s: %+v", i, pf.Name, vf)
			}
		}
	}
	if s.Status.Plan != nil || s.Status.LastSyncError != "" {
		t.Errorf("nothing is left to do, and the status has the plan %+v and the error %q", s.Status.Plan, s.Status.LastSyncError)
	}
	for kind, want := range map[string]string{
		sriovv1.ConditionReady: "True AsDesired", sriovv1.ConditionProgressing: "False NothingUnderWay", sriovv1.ConditionDraining: "False NoDrain",
	} {
		if got := condition(s, kind); got != want {
			t.Errorf("condition %s is %s and not %s", kind, got, want)
		}
	}
	if asked := n.asks(); asked != sriovv1.DrainIdle || s.Annotations[sriovv1.AnnotationDesiredState] != sriovv1.DrainIdle {
		t.Errorf("new VFs disturb nobody, and the node asks for %q, its state for %q", asked, s.Annotations[sriovv1.AnnotationDesiredState])
	}
	n.awaitEvent("SyncStatusChanged", "Status changed from: none to: Succeeded")
}

// lateUdev does nothing until somebody waits for it.
type lateUdev struct {
	host.UdevControl
	machine *sim.Machine
}

func (u lateUdev) Settle(ctx context.Context) error {
	u.machine.SettleUdev()
	return u.UdevControl.Settle(ctx)
}

func TestRepresentorsHaveTheirLastingNamesWhenTheNodeSucceeds(t *testing.T) {
	n := newNode(t, connectX5)
	n.machine.HoldUdev()
	n.options = func(o *daemon.Options) { o.Host.Udev = lateUdev{o.Host.Udev, n.machine} }
	n.start()
	wish := pf(0, 2)
	wish.EswitchMode = "switchdev"
	n.want(wish)
	var got []string
	for _, vf := range n.awaitSync(sriovv1.SyncStatusSucceeded).Status.Interfaces[0].VFs {
		got = append(got, vf.RepresentorName)
	}
	if diff := cmp.Diff([]string{"ens41f0npf0vf0", "ens41f0npf0vf1"}, got); diff != "" {
		t.Errorf("representors (-want +got):\n%s", diff)
	}
}

func TestStepsAreShownWhileTheyRun(t *testing.T) {
	n := newNode(t, connectX5)
	n.machine.SetDelays(sim.Delays{AddVF: 300 * time.Millisecond})
	n.start()
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.want(pf(0, 4))
	s := n.await("a running step", func(s *sriovv1.SriovNetworkNodeState) string {
		if s.Status.Plan == nil {
			return "no plan"
		}
		if !slices.ContainsFunc(s.Status.Plan.Steps, func(p sriovv1.NodePlanStep) bool {
			return p.State == sriovv1.StepRunning && p.Does == "numvfs 0 → 4"
		}) {
			return fmt.Sprintf("the steps %+v", s.Status.Plan.Steps)
		}
		return ""
	})
	if got := condition(s, sriovv1.ConditionProgressing); got != "True DisturbsNobody" || s.Status.SyncStatus != sriovv1.SyncStatusInProgress {
		t.Errorf("Progressing is %s, status %s", got, s.Status.SyncStatus)
	}
	if s.Status.Plan.Disrupts != sriovv1.DisruptionNone || s.Status.Plan.ObservedGeneration != s.Generation {
		t.Errorf("the plan is %+v", s.Status.Plan)
	}
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.awaitEvent("SyncStatusChanged", "Status changed from: InProgress to: Succeeded")
}

func TestPodsAreNamedBeforeTheyAreAskedToLeaveAndNothingIsTouchedUntilTheyLeft(t *testing.T) {
	n := newNode(t, connectX5)
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	holder := n.hold("web", 0, 1)
	n.pods.set(nil, holder)
	n.await("assigned", func(s *sriovv1.SriovNetworkNodeState) string {
		if got := s.Status.Interfaces[0].VFs[1].Assigned; got != n.ns+"/web" {
			return "VF 1 assigned to " + got
		}
		return ""
	})
	before := n.machine.Writes()
	n.want(pf(0, 4))
	n.awaitNode(sriovv1.DrainRequired)
	// What the controller evicts was there before it was asked.
	s := n.state()
	want := []sriovv1.AffectedPod{{Namespace: n.ns, Name: "web", Devices: []string{holder.Devices[0].String()}}}
	if s.Status.Plan == nil || len(s.Status.Plan.AffectedPods) != 1 || s.Status.Plan.AffectedPods[0].Name != want[0].Name ||
		!slices.Equal(s.Status.Plan.AffectedPods[0].Devices, want[0].Devices) || s.Status.Plan.Disrupts != sriovv1.DisruptionPods {
		t.Fatalf("when a drain was asked for, the plan was %+v", s.Status.Plan)
	}
	n.await("the mirror", func(s *sriovv1.SriovNetworkNodeState) string {
		if s.Annotations[sriovv1.AnnotationDesiredState] != sriovv1.DrainRequired || condition(s, sriovv1.ConditionDraining) != "True DrainPending" {
			return s.Annotations[sriovv1.AnnotationDesiredState] + ", draining " + condition(s, sriovv1.ConditionDraining)
		}
		return ""
	})
	n.grant(sriovv1.Draining, "waits for a budget")
	n.await("what the drain waits for", func(s *sriovv1.SriovNetworkNodeState) string {
		c := meta.FindStatusCondition(s.Status.Conditions, sriovv1.ConditionDraining)
		if c == nil || c.Reason != "DrainRunning" || !strings.Contains(c.Message, "waits for a budget") || !strings.Contains(c.Message, n.ns+"/web") {
			return fmt.Sprintf("%+v", c)
		}
		return ""
	})
	n.grant(sriovv1.DrainComplete, "")
	n.await("the kubelet", func(s *sriovv1.SriovNetworkNodeState) string {
		if got := condition(s, sriovv1.ConditionDraining); got != "True PodsLeaving" {
			return got
		}
		return ""
	})
	if got := n.machine.Writes(); got != before {
		t.Errorf("the pod holds its VF, and the machine was changed %d times", got-before)
	}
	n.pods.set(nil)
	if err := n.machine.ReturnVF(vfRef(0, 1)); err != nil {
		t.Fatal(err)
	}
	n.awaitNode(sriovv1.DrainIdle)
	n.grant(sriovv1.DrainIdle, "")
	s = n.awaitSync(sriovv1.SyncStatusSucceeded)
	if s.Status.Interfaces[0].NumVfs != 4 || condition(s, sriovv1.ConditionDraining) != "False NoDrain" {
		t.Errorf("after the drain: %d VFs, draining %s", s.Status.Interfaces[0].NumVfs, condition(s, sriovv1.ConditionDraining))
	}
}

func TestVFsThatNobodyHoldsAreTakenWithoutADrain(t *testing.T) {
	n := newNode(t, connectX5)
	n.start()
	n.want(pf(0, 2), pf(1, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.awaitMirror(sriovv1.DrainIdle)
	n.pods.set(nil, n.hold("web", 0, 1))
	n.proxy.Reset()
	n.want(pf(0, 2), pf(1, 3))
	s := n.awaitSync(sriovv1.SyncStatusSucceeded)
	if s.Status.Interfaces[1].NumVfs != 3 {
		t.Errorf("the second PF has %d VFs", s.Status.Interfaces[1].NumVfs)
	}
	for key, count := range n.proxy.Counts() {
		if key.Resource == "nodes" {
			t.Errorf("nobody was to leave, and there were %d requests to %s nodes", count, key.Verb)
		}
	}
}

func TestAPFThatDisturbsNobodyDoesNotWaitForAnothersDrain(t *testing.T) {
	n := newNode(t, connectX5)
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.pods.set(nil, n.hold("web", 0, 0))
	n.want(pf(0, 4), pf(1, 3))
	n.awaitNode(sriovv1.DrainRequired)
	s := n.state()
	if s.Status.Interfaces[1].NumVfs != 3 || s.Status.Interfaces[0].NumVfs != 2 {
		t.Errorf("while the first PF waits: %d and %d VFs", s.Status.Interfaces[0].NumVfs, s.Status.Interfaces[1].NumVfs)
	}
	if !meta.IsStatusConditionTrue(s.Status.Interfaces[1].Conditions, sriovv1.ConditionReady) || meta.IsStatusConditionTrue(s.Status.Interfaces[0].Conditions, sriovv1.ConditionReady) {
		t.Errorf("conditions %+v and %+v", s.Status.Interfaces[0].Conditions, s.Status.Interfaces[1].Conditions)
	}
	// Who asks for what there was has no need of a drain any more.
	n.want(pf(0, 2), pf(1, 3))
	n.awaitNode(sriovv1.DrainIdle)
	n.awaitSync(sriovv1.SyncStatusSucceeded)
}

func TestWithDisableDrainNobodyIsAsked(t *testing.T) {
	n := newNode(t, connectX5)
	n.create(&sriovv1.SriovOperatorConfig{ObjectMeta: n.meta(sriovv1.DefaultConfigName), Spec: sriovv1.SriovOperatorConfigSpec{DisableDrain: true}})
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.pods.set(nil, n.hold("web", 0, 0))
	n.want(pf(0, 3))
	if s := n.awaitSync(sriovv1.SyncStatusSucceeded); s.Status.Interfaces[0].NumVfs != 3 || n.asks() != sriovv1.DrainIdle {
		t.Errorf("%d VFs, and the node asks for %s", s.Status.Interfaces[0].NumVfs, n.asks())
	}
}

func TestD28FailedIsReachedWithCauseAndFixAndLeftAgain(t *testing.T) {
	n := newNode(t, connectX5)
	n.machine.Fail("sys/bus/pci/devices/0000:5f:00.0/sriov_numvfs", syscall.ENOMEM)
	n.start()
	n.want(pf(0, 2), pf(1, 2))
	s := n.awaitSync(sriovv1.SyncStatusFailed)
	if !strings.Contains(s.Status.LastSyncError, syscall.ENOMEM.Error()) || !strings.Contains(s.Status.LastSyncError, "0000:5f:00.0") {
		t.Errorf("the error is %q", s.Status.LastSyncError)
	}
	if s.Status.Interfaces[1].NumVfs != 2 || condition(s, sriovv1.ConditionReady) != "False StepFailed" {
		t.Errorf("the other PF has %d VFs; Ready is %s", s.Status.Interfaces[1].NumVfs, condition(s, sriovv1.ConditionReady))
	}
	if s.Status.Plan == nil || !slices.ContainsFunc(s.Status.Plan.Steps, func(p sriovv1.NodePlanStep) bool {
		return p.State == sriovv1.StepFailed && strings.Contains(p.Error, syscall.ENOMEM.Error())
	}) {
		t.Errorf("the step that failed is not in the plan: %+v", s.Status.Plan)
	}
	n.machine.Heal()
	n.want(pf(0, 3), pf(1, 2))
	if s := n.awaitSync(sriovv1.SyncStatusSucceeded); s.Status.LastSyncError != "" || s.Status.Interfaces[0].NumVfs != 3 {
		t.Errorf("%q and %d VFs", s.Status.LastSyncError, s.Status.Interfaces[0].NumVfs)
	}
	n.want(pf(0, 99), pf(1, 2))
	s = n.awaitSync(sriovv1.SyncStatusFailed)
	if condition(s, sriovv1.ConditionReady) != "False TotalVFsExceeded" || !strings.Contains(s.Status.LastSyncError, "Lower numVfs") {
		t.Errorf("Ready is %s: %q", condition(s, sriovv1.ConditionReady), s.Status.LastSyncError)
	}
}

func TestThePFThatHoldsTheNodesAddressIsNotCutOff(t *testing.T) {
	n := newNode(t, connectX5, "\nroutes: [{to: 10.1.0.0/16, over: ens41f0np0}]\n")
	n.options = func(o *daemon.Options) { o.Addrs = []netip.Addr{netip.MustParseAddr("10.1.0.7")} }
	n.start()
	var wishes []sriovv1.Interface
	for port := range 2 {
		wish := pf(port, 2)
		wish.EswitchMode = "switchdev"
		wishes = append(wishes, wish)
	}
	n.want(wishes...)
	s := n.awaitSync(sriovv1.SyncStatusFailed)
	if got := condition(s, sriovv1.ConditionReady); got != "False HostTraffic" {
		t.Errorf("Ready is %s", got)
	}
	for _, text := range []string{"ens41f0np0 carries address of this node via ens41f0np0", reason.HostTraffic.Fix()} {
		if !strings.Contains(s.Status.LastSyncError, text) {
			t.Errorf("%q does not say %q", s.Status.LastSyncError, text)
		}
	}
	if s.Status.Interfaces[0].NumVfs != 0 || s.Status.Interfaces[0].EswitchMode != "legacy" || s.Status.Interfaces[1].NumVfs != 2 {
		t.Errorf("the PFs are %+v", s.Status.Interfaces)
	}
	wishes[0].AllowInUse = true
	n.want(wishes...)
	n.awaitSync(sriovv1.SyncStatusSucceeded)
}

func TestAFailureThatPassesIsTriedAgain(t *testing.T) {
	n := newNode(t, connectX5)
	n.machine.FailOnce("sys/bus/pci/devices/0000:5f:00.0/sriov_numvfs", syscall.EAGAIN)
	n.start()
	n.want(pf(0, 2))
	if s := n.awaitSync(sriovv1.SyncStatusSucceeded); s.Status.Interfaces[0].NumVfs != 2 {
		t.Errorf("%d VFs", s.Status.Interfaces[0].NumVfs)
	}
}

func TestAMachineThatCannotBeReadIsFailedUntilItCan(t *testing.T) {
	n := newNode(t, connectX5)
	n.options = func(o *daemon.Options) { o.Pace.Resync = 200 * time.Millisecond }
	n.start()
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.machine.Fail("read:links", errors.New("no netlink today"))
	s := n.awaitSync(sriovv1.SyncStatusFailed)
	if condition(s, sriovv1.ConditionReady) != "False MachineUnreadable" || !strings.Contains(s.Status.LastSyncError, "no netlink today") || len(s.Status.Interfaces) != 2 {
		t.Errorf("Ready is %s: %q, with %d PFs", condition(s, sriovv1.ConditionReady), s.Status.LastSyncError, len(s.Status.Interfaces))
	}
	n.machine.Heal()
	n.awaitSync(sriovv1.SyncStatusSucceeded)
}

func TestWhatSomebodyEditsIsRepaired(t *testing.T) {
	n := newNode(t, connectX5)
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.awaitNode(sriovv1.DrainIdle)

	n.awaitMirror(sriovv1.DrainIdle)
	n.editStatus(func(s *sriovv1.SriovNetworkNodeState) {
		s.Status.SyncStatus, s.Status.Interfaces = sriovv1.SyncStatusFailed, nil
		meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{Type: "Foreign", Status: metav1.ConditionTrue, Reason: "Elsewhere"})
	})
	s := n.await("the status", func(s *sriovv1.SriovNetworkNodeState) string {
		if s.Status.SyncStatus != sriovv1.SyncStatusSucceeded || len(s.Status.Interfaces) != 2 {
			return "edited"
		}
		return ""
	})
	if !meta.IsStatusConditionTrue(s.Status.Conditions, "Foreign") {
		t.Errorf("a condition of somebody else is gone: %+v", s.Status.Conditions)
	}

	n.edit(func(s *sriovv1.SriovNetworkNodeState) {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, sriovv1.AnnotationDesiredState, sriovv1.RebootRequired)
	})
	n.awaitMirror(sriovv1.DrainIdle)

	// Whoever edits the node moves the controller, and so the daemon.
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+sriovv1.AnnotationNodeDrain+`":"Drain_Required"}}}`))
	if err := n.api.Patch(t.Context(), node, patch); err != nil {
		t.Fatal(err)
	}
	n.grant(sriovv1.Draining, "")
	n.awaitNode(sriovv1.DrainIdle)
}

func TestTheMachineGoesOnWhileTheAPIServerIsAway(t *testing.T) {
	n := newNode(t, connectX5)
	n.machine.SetDelays(sim.Delays{AddVF: 200 * time.Millisecond})
	n.start()
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.want(pf(0, 4))
	n.await("the work", func(s *sriovv1.SriovNetworkNodeState) string {
		if condition(s, sriovv1.ConditionProgressing) != "True DisturbsNobody" {
			return condition(s, sriovv1.ConditionProgressing)
		}
		return ""
	})
	n.proxy.Script(proxy.Rule{Fault: proxy.Answer{Code: 503}})
	deadline := time.Now().Add(patient)
	for !strings.Contains(n.machine.Snapshot(), "numvfs=4/") {
		if time.Now().After(deadline) {
			t.Fatalf("the machine stands still:\n%s", n.machine.Snapshot())
		}
		time.Sleep(20 * time.Millisecond)
	}
	if s := n.state(); s.Status.SyncStatus != sriovv1.SyncStatusInProgress {
		t.Errorf("nobody could say so, and the status is %s", s.Status.SyncStatus)
	}
	n.proxy.Script()
	if s := n.awaitSync(sriovv1.SyncStatusSucceeded); s.Status.Interfaces[0].NumVfs != 4 {
		t.Errorf("%d VFs", s.Status.Interfaces[0].NumVfs)
	}
}

func TestADaemonThatIsKilledAtAnyStepIsReplacedByOneThatGoesOn(t *testing.T) {
	whole := newNode(t, connectX5)
	stop := whole.start()
	whole.awaitSync(sriovv1.SyncStatusSucceeded)
	whole.want(pf(0, 2), pf(1, 3))
	whole.awaitSync(sriovv1.SyncStatusSucceeded)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	total, want := whole.machine.Writes(), whole.machine.Snapshot()
	if total < 10 {
		t.Fatalf("there are %d changes to be killed at", total)
	}
	for killed := range total {
		t.Run(fmt.Sprintf("after change %d", killed), func(t *testing.T) {
			t.Parallel()
			n := newNode(t, connectX5)
			n.want(pf(0, 2), pf(1, 3))
			n.machine.CrashAfter(killed)
			stop := n.start()
			n.awaitDeath()
			_ = stop()
			n.machine.Revive()
			n.start()
			n.awaitSync(sriovv1.SyncStatusSucceeded)
			if got := n.machine.Snapshot(); got != want {
				t.Errorf("killed after %d changes, it ends with\n%s\nand not with\n%s", killed, got, want)
			}
		})
	}
}

// awaitDeath waits until the machine's doors are closed.
func (n *node) awaitDeath() {
	n.t.Helper()
	deadline := time.Now().Add(patient)
	for {
		_, err := n.machine.Reader().Links.Links(n.t.Context())
		if errors.Is(err, sim.ErrCrashed) {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatal("the daemon was not killed")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestARestartWithNothingToDoIsFastAndWritesNothing(t *testing.T) {
	n := newNode(t, connectX5)
	stop := n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.awaitMirror(sriovv1.DrainIdle)
	if err := n.proxy.Quiet(t.Context(), 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	before, writes := n.state().ResourceVersion, n.machine.Writes()
	n.proxy.Reset()
	began := time.Now()
	n.start()
	if err := n.proxy.Quiet(t.Context(), 500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began) - 500*time.Millisecond
	for key, count := range n.proxy.Counts() {
		if !slices.Contains([]string{"get", "list", "watch"}, key.Verb) {
			t.Errorf("%d requests to %s %s", count, key.Verb, key.Resource)
		}
	}
	if n.state().ResourceVersion != before || n.machine.Writes() != writes {
		t.Errorf("something was written: version %s and %s, changes %d and %d", before, n.state().ResourceVersion, writes, n.machine.Writes())
	}
	t.Logf("a restart with nothing to do took %v", took)
	if took > 500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

func TestAnIdleDaemonAsksForNothing(t *testing.T) {
	n := newNode(t, connectX5)
	n.options = func(o *daemon.Options) { o.Pace.Resync = 100 * time.Millisecond }
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	if err := n.proxy.Quiet(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	n.proxy.Reset()
	time.Sleep(3 * time.Second) // thirty looks of its own
	if got := n.proxy.Requests(); len(got) > 0 {
		t.Errorf("it asked for %+v", got)
	}
}

func TestAPFIsGivenBackUnlessTheNodeStateIsTooNewToSaySo(t *testing.T) {
	n := newNode(t, connectX5)
	stop := n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// Somebody deletes the node state, and the controller makes it anew: without a spec,
	// because it does not know the PFs.
	if err := n.api.Delete(t.Context(), n.state()); err != nil {
		t.Fatal(err)
	}
	n.create(&sriovv1.SriovNetworkNodeState{ObjectMeta: n.meta(n.name)})
	n.options = func(o *daemon.Options) { o.Pace.Rendered = time.Hour }
	stop = n.start()
	s := n.awaitSync(sriovv1.SyncStatusInProgress)
	if s.Status.Interfaces[0].NumVfs != 2 || condition(s, sriovv1.ConditionReady) != "False SpecNotRendered" {
		t.Errorf("%d VFs, Ready %s", s.Status.Interfaces[0].NumVfs, condition(s, sriovv1.ConditionReady))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	n.options = nil
	n.start()
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	if strings.Contains(n.machine.Snapshot(), "numvfs=2/") {
		t.Errorf("long after, the PF is not given back:\n%s", n.machine.Snapshot())
	}
}

// plugin makes a pod of the device plugin on the node.
func (n *node) plugin(name string) *corev1.Pod {
	n.t.Helper()
	grace := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.ns, Name: name, Labels: map[string]string{"app": "sriov-device-plugin"}},
		Spec: corev1.PodSpec{
			NodeName: n.name, Containers: []corev1.Container{{Name: "sriov-device-plugin", Image: "none"}}, TerminationGracePeriodSeconds: &grace,
		},
	}
	n.create(pod)
	return pod
}

// runs plays the kubelet: the pod runs, or waits in its init container.
func (n *node) runs(pod *corev1.Pod, waits bool) {
	n.t.Helper()
	if waits {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, sriovv1.AnnotationDevicePluginWaitConfig, "true")
		if err := n.api.Update(n.t.Context(), pod); err != nil {
			n.t.Fatal(err)
		}
		return
	}
	if err := n.api.Get(n.t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
		n.t.Fatal(err)
	}
	pod.Status.Phase = corev1.PodRunning
	if err := n.api.Status().Update(n.t.Context(), pod); err != nil {
		n.t.Fatal(err)
	}
}

// awaitPod waits until a pod is as the test wants it; nil is a pod that is gone.
func (n *node) awaitPod(name, what string, is func(*corev1.Pod) bool) {
	n.t.Helper()
	deadline := time.Now().Add(patient)
	for {
		pod := &corev1.Pod{}
		err := n.api.Get(n.t.Context(), client.ObjectKey{Namespace: n.ns, Name: name}, pod)
		if client.IgnoreNotFound(err) != nil {
			n.t.Fatal(err)
		}
		if err != nil {
			pod = nil
		}
		if is(pod) {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: the pod is %+v", what, pod)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func gone(pod *corev1.Pod) bool { return pod == nil }

func released(pod *corev1.Pod) bool {
	return pod != nil && pod.Annotations[sriovv1.AnnotationDevicePluginWaitConfig] == "" && pod.Annotations[sriovv1.AnnotationDevicePluginFound] != ""
}

func TestW39TheDevicePluginIsReplacedOnlyWhenItWouldFindSomethingElse(t *testing.T) {
	n := newNode(t, connectX5)
	n.machine.SetDelays(sim.Delays{AddVF: 100 * time.Millisecond})
	first := n.plugin("first")
	n.runs(first, true)
	n.want(pf(0, 2))
	n.start()
	n.await("work", func(s *sriovv1.SriovNetworkNodeState) string {
		if condition(s, sriovv1.ConditionProgressing) != "True DisturbsNobody" {
			return condition(s, sriovv1.ConditionProgressing)
		}
		return ""
	})
	if err := n.api.Get(t.Context(), client.ObjectKeyFromObject(first), first); err != nil || released(first) {
		t.Fatalf("the VFs are not there yet, and the plugin goes on: %+v, %v", first.Annotations, err)
	}
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.awaitPod("first", "release", released)
	n.runs(first, false)

	// An MTU is nothing that the plugin looks at.
	wide := pf(0, 2)
	wide.Mtu = 9000
	n.want(wide)
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.awaitPod("first", "after a change of the MTU", released)

	// VFs that go and come back are.
	more := pf(0, 4)
	more.Mtu = 9000
	n.want(more)
	n.awaitPod("first", "before VFs are taken", gone)
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	second := n.plugin("second")
	n.runs(second, true)
	n.awaitPod("second", "release", released)
	n.runs(second, false)

	// W9: another configuration, and nothing else.
	n.edit(func(s *sriovv1.SriovNetworkNodeState) {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, sriovv1.AnnotationDevicePluginConfig, "another")
	})
	n.awaitPod("second", "after another configuration", gone)
}

func TestARestartOfTheDaemonLeavesTheDevicePluginAlone(t *testing.T) {
	n := newNode(t, connectX5)
	n.want(pf(0, 2))
	stop := n.start()
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	pod := n.plugin("plugin")
	n.runs(pod, true)
	n.awaitPod("plugin", "release", released)
	n.runs(pod, false)
	for range 2 {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		n.proxy.Reset()
		stop = n.start()
		if err := n.proxy.Quiet(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	n.awaitPod("plugin", "after restarts", func(p *corev1.Pod) bool { return p != nil && p.UID == pod.UID && p.DeletionTimestamp == nil })
}

func TestADrainThatPodsSurviveIsGivenBackAndAskedForAnew(t *testing.T) {
	n := newNode(t, connectX5)
	n.options = func(o *daemon.Options) { o.Pace.Patience = 300 * time.Millisecond }
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.pods.set(nil, n.hold("stubborn", 0, 0))
	n.want(pf(0, 4))
	n.awaitNode(sriovv1.DrainRequired)
	n.grant(sriovv1.DrainComplete, "")
	n.awaitNode(sriovv1.DrainIdle)
	n.grant(sriovv1.DrainIdle, "")
	n.awaitNode(sriovv1.DrainRequired)
	if s := n.state(); s.Status.Interfaces[0].NumVfs != 2 {
		t.Errorf("the pod holds its VF, and there are %d", s.Status.Interfaces[0].NumVfs)
	}
}

func TestWhatCannotBeLearnedOfPodsHoldsUpOnlyWhatTakesVFs(t *testing.T) {
	n := newNode(t, connectX5)
	n.options = func(o *daemon.Options) { o.Pace.Resync = 200 * time.Millisecond }
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.pods.set(errors.New("the kubelet is silent"))
	n.want(pf(0, 4), pf(1, 2))
	s := n.await("the other PF", func(s *sriovv1.SriovNetworkNodeState) string {
		if s.Status.Interfaces[1].NumVfs != 2 || condition(s, sriovv1.ConditionReady) != "False HoldersUnknown" {
			return fmt.Sprintf("%d VFs, Ready %s", s.Status.Interfaces[1].NumVfs, condition(s, sriovv1.ConditionReady))
		}
		return ""
	})
	if s.Status.Interfaces[0].NumVfs != 2 || !strings.Contains(s.Status.LastSyncError, "the kubelet is silent") {
		t.Errorf("%d VFs: %q", s.Status.Interfaces[0].NumVfs, s.Status.LastSyncError)
	}
	n.pods.set(nil)
	if s := n.awaitSync(sriovv1.SyncStatusSucceeded); s.Status.Interfaces[0].NumVfs != 4 {
		t.Errorf("%d VFs", s.Status.Interfaces[0].NumVfs)
	}
}

func TestArgumentsOfTheKernelComeWithOneRebootInTurnEvenWithoutDrains(t *testing.T) {
	n := newNode(t, connectX5, "iommu: false\nboot: {iommu: intel}\n")
	n.create(&sriovv1.SriovOperatorConfig{ObjectMeta: n.meta(sriovv1.DefaultConfigName), Spec: sriovv1.SriovOperatorConfigSpec{DisableDrain: true}})
	stop := n.start()
	n.want(pf(0, 2, sriovv1.VfGroup{ResourceName: "dpdk", PolicyName: "dpdk", VfRange: "0-1", DeviceType: sriovv1.DeviceTypeVfioPci}))
	n.awaitNode(sriovv1.RebootRequired)
	if got := n.machine.Reboots(); len(got) > 0 {
		t.Fatalf("it is not the node's turn, and it reboots: %q", got)
	}
	s := n.await("its turn", func(s *sriovv1.SriovNetworkNodeState) string {
		if got := condition(s, sriovv1.ConditionDraining); got != "True DrainPending" || s.Status.Plan == nil || s.Status.Plan.Disrupts != sriovv1.DisruptionReboot {
			return got
		}
		return ""
	})
	if s.Status.SyncStatus != sriovv1.SyncStatusInProgress {
		t.Errorf("the status is %s", s.Status.SyncStatus)
	}
	n.grant(sriovv1.DrainComplete, "")
	n.awaitDeath()
	_ = stop()
	n.machine.Revive()
	n.start()
	n.awaitNode(sriovv1.DrainIdle)
	n.grant(sriovv1.DrainIdle, "")
	s = n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.awaitEvent("RebootNode", "intel_iommu=on")
	if vf := s.Status.Interfaces[0].VFs; len(vf) != 2 || vf[0].Driver != "vfio-pci" || len(n.machine.Reboots()) != 1 {
		t.Errorf("VFs %+v after %d reboots", vf, len(n.machine.Reboots()))
	}
}

func TestD19ANodeThatRebootedInVainIsFailedAndNotRebootedAgain(t *testing.T) {
	n := newNode(t, connectX5, "iommu: false\nboot: {iommu: intel}\n")
	n.machine.BootWithout("intel_iommu=on")
	stop := n.start()
	n.want(pf(0, 2, sriovv1.VfGroup{ResourceName: "dpdk", PolicyName: "dpdk", VfRange: "0-1", DeviceType: sriovv1.DeviceTypeVfioPci}))
	n.awaitNode(sriovv1.RebootRequired)
	n.grant(sriovv1.DrainComplete, "")
	n.awaitDeath()
	_ = stop()
	n.machine.Revive()
	n.start()
	n.awaitNode(sriovv1.DrainIdle)
	n.grant(sriovv1.DrainIdle, "")
	s := n.awaitSync(sriovv1.SyncStatusFailed)
	if condition(s, sriovv1.ConditionReady) != "False RebootInVain" || len(n.machine.Reboots()) != 1 {
		t.Errorf("Ready %s, %q, %d reboots", condition(s, sriovv1.ConditionReady), s.Status.LastSyncError, len(n.machine.Reboots()))
	}
}

func TestAnExternalDrainerIsAnnouncedOnlyWhileNobodyDrains(t *testing.T) {
	n := newNode(t, connectX5)
	n.grant(sriovv1.Draining, "")
	n.options = func(o *daemon.Options) { o.ExternalDrainer = true }
	n.start()
	s := n.awaitSync(sriovv1.SyncStatusSucceeded)
	if _, is := s.Annotations[sriovv1.AnnotationUseExternalDrainer]; is {
		t.Error("announced in the middle of a drain")
	}
	n.grant(sriovv1.DrainIdle, "")
	n.await("the announcement", func(s *sriovv1.SriovNetworkNodeState) string {
		if got := s.Annotations[sriovv1.AnnotationUseExternalDrainer]; got != "true" {
			return fmt.Sprintf("%q", got)
		}
		return ""
	})
}

func TestAVFThatSomebodyHoldsWhoIsNoPodIsNotTakenAndNobodyIsAskedToLeave(t *testing.T) {
	n := newNode(t, connectX5)
	n.options = func(o *daemon.Options) { o.Pace.Patience = 300 * time.Millisecond }
	n.start()
	n.want(pf(0, 2), pf(1, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	if err := n.machine.TakeVF(vfRef(0, 0)); err != nil {
		t.Fatal(err)
	}
	taken := n.vf(0, 0).String()
	n.pods.set(nil, n.hold("web", 0, 1))
	n.want(pf(0, 3), pf(1, 3))
	s := n.awaitSync(sriovv1.SyncStatusFailed)
	if got := condition(s, sriovv1.ConditionReady); got != "False HeldByNoPod" {
		t.Errorf("condition Ready is %s", got)
	}
	if !strings.Contains(s.Status.LastSyncError, taken) || !strings.Contains(s.Status.LastSyncError, reason.HeldByNoPod.Fix()) {
		t.Errorf("it says %q", s.Status.LastSyncError)
	}
	if s.Status.Plan == nil || !slices.Equal(s.Status.Plan.UnknownHolders, []string{taken}) {
		t.Errorf("the plan is %+v", s.Status.Plan)
	}
	if a, b := s.Status.Interfaces[0].NumVfs, s.Status.Interfaces[1].NumVfs; a != 2 || b != 3 {
		t.Errorf("%d VFs where one is held, %d on the other port", a, b)
	}
	if got := n.asks(); got == sriovv1.DrainRequired {
		t.Errorf("the pod on the same PF is asked to leave in vain")
	}
	if err := n.machine.ReturnVF(vfRef(0, 0)); err != nil {
		t.Fatal(err)
	}
	n.awaitNode(sriovv1.DrainRequired) // for the pod
}

func TestTheLogLevelOfTheConfigurationTakesEffectAtOnce(t *testing.T) {
	n := newNode(t, connectX5)
	level := loglevel.New(0)
	lines := make(chan string, 10_000)
	n.options = func(o *daemon.Options) {
		o.Log = slog.New(slog.NewTextHandler(toLines(lines), &slog.HandlerOptions{Level: level}))
		o.SetLogLevel = func(wanted int) { level.Follow(o.Log.Info, wanted) }
	}
	config := &sriovv1.SriovOperatorConfig{ObjectMeta: n.meta(sriovv1.DefaultConfigName)}
	n.create(config)
	n.start()
	n.want(pf(0, 1))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	set := func(wanted int) {
		t.Helper()
		patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"logLevel":%d}}`, wanted))
		if err := n.api.Patch(t.Context(), config, patch); err != nil {
			t.Fatal(err)
		}
	}
	until := func(text string) (before string) {
		t.Helper()
		give := time.After(patient)
		for {
			select {
			case line := <-lines:
				if before += line; strings.Contains(line, text) {
					return before
				}
			case <-give:
				t.Fatalf("nothing of %q is logged", text)
			}
		}
	}
	set(2)
	quiet := until(`msg="Set log verbose level" new-level=2 current-level=0`)
	if strings.Contains(quiet, "a step is done") || strings.Contains(quiet, "level=DEBUG") {
		t.Errorf("without a level it logs:\n%s", quiet)
	}
	n.want(pf(0, 2))
	until("something happened on the machine")
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	set(1)
	until("new-level=1 current-level=2")
	n.want(pf(0, 3))
	until("a step is done")
	set(0)
	until("new-level=0 current-level=1")
}

// toLines is a writer to a channel.
type toLines chan<- string

// Write sends one record.
func (c toLines) Write(p []byte) (int, error) {
	c <- string(p)
	return len(p), nil
}

func TestMetricsSayHowTheNodeFares(t *testing.T) {
	n := newNode(t, connectX5)
	registry := prometheus.NewRegistry()
	n.options = func(o *daemon.Options) { o.Registry = registry }
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.pods.set(nil, n.hold("web", 0, 0))
	n.want(pf(0, 3))
	n.awaitMirror(sriovv1.DrainRequired)
	n.grant(sriovv1.DrainComplete, "")
	n.await("the pods", func(s *sriovv1.SriovNetworkNodeState) string {
		if got := condition(s, sriovv1.ConditionDraining); got != "True PodsLeaving" {
			return got
		}
		return ""
	})
	if err := n.machine.ReturnVF(vfRef(0, 0)); err != nil {
		t.Fatal(err)
	}
	n.pods.set(nil)
	n.awaitMirror(sriovv1.DrainIdle)
	n.grant(sriovv1.DrainIdle, "")
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.machine.Fail("sys/bus/pci/devices/0000:5f:00.0/sriov_numvfs", syscall.ENOMEM)
	n.want(pf(0, 4))
	n.awaitSync(sriovv1.SyncStatusFailed)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			switch {
			case m.Histogram != nil:
				got[name] = float64(m.Histogram.GetSampleCount())
			case m.Gauge != nil:
				got[name] = m.Gauge.GetValue()
			default:
				got[name] = m.Counter.GetValue()
			}
		}
	}
	for name, want := range map[string]float64{
		"sriov_daemon_sync Failed": 1, "sriov_daemon_sync Succeeded": 0, "sriov_daemon_sync InProgress": 0,
		"sriov_daemon_requests_total drain": 1, "sriov_daemon_grant_wait_seconds drain": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, name := range []string{
		"sriov_daemon_applies_total done", "sriov_daemon_applies_total failed", "sriov_daemon_step_seconds SetNumVFs",
		"sriov_daemon_last_success_timestamp_seconds",
	} {
		if got[name] < 1 {
			t.Errorf("%s is %v; all: %v", name, got[name], got)
		}
	}
}

func TestInSystemdModeTheMachineRestoresAtBootWhatItWasAskedFor(t *testing.T) {
	n := newNode(t, connectX5)
	n.options = func(o *daemon.Options) { o.AtBoot = true }
	stop := n.start()
	n.want(pf(0, 2), pf(1, 1))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.want(pf(0, 3), pf(1, 1))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	n.machine.Reboot()
	n.machine.Revive()
	restore := func() error {
		return atboot.Restore(t.Context(), atboot.Options{
			Host: n.machine.Host(), Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Patience: patient, Step: patient,
		})
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if got := condition(n.state(), sriovv1.ConditionRestoredAtBoot); got != "none" {
		t.Errorf("before any boot it says %s", got)
	}
	n.want(pf(1, 1), pf(0, 3)) // the same, and yet another generation
	writes := n.machine.Writes()
	stop = n.start()
	s := n.awaitSync(sriovv1.SyncStatusSucceeded)
	if s.Status.Interfaces[0].NumVfs != 3 || s.Status.Interfaces[1].NumVfs != 1 {
		t.Errorf("after the boot there are %d and %d VFs", s.Status.Interfaces[0].NumVfs, s.Status.Interfaces[1].NumVfs)
	}
	if now := n.machine.Writes(); now-writes > 1 { // what is restored at the next boot
		t.Errorf("the daemon wrote %d times to a machine that was restored", now-writes)
	}
	if got := condition(s, sriovv1.ConditionRestoredAtBoot); got != "True BootRestored" {
		t.Errorf("it says %s", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// What went wrong at boot is mended, and told once for each boot, whoever restarts the daemon.
	for boot := 1; boot <= 2; boot++ {
		n.machine.Reboot()
		n.machine.Revive()
		n.machine.Fail("sys/bus/pci/devices/0000:5f:00.0/sriov_numvfs", syscall.ENOMEM)
		if err := restore(); err == nil {
			t.Fatal("it says that all went well")
		}
		n.machine.Heal()
		for restart := range 2 {
			stop = n.start()
			n.want(pf(0, 3), pf(1, 1+restart))
			s = n.awaitSync(sriovv1.SyncStatusSucceeded)
			if got := condition(s, sriovv1.ConditionRestoredAtBoot); got != "False BootRestoreFailed" {
				t.Errorf("it says %s", got)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		n.wantBootsTold(boot, syscall.ENOMEM.Error())
	}

	// A service that did not run leaves nothing behind that could be told, but that.
	n.machine.Reboot()
	n.machine.Revive()
	stop = n.start()
	n.awaitEvent("BootRestoreMissing", reason.BootRestoreMissing.Fix())
	n.want(pf(0, 3), pf(1, 1))
	if got := condition(n.awaitSync(sriovv1.SyncStatusSucceeded), sriovv1.ConditionRestoredAtBoot); got != "False BootRestoreMissing" {
		t.Errorf("it says %s", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// In the other mode nothing is left of it.
	n.options = nil
	n.start()
	n.want(pf(0, 2), pf(1, 1))
	if got := condition(n.awaitSync(sriovv1.SyncStatusSucceeded), sriovv1.ConditionRestoredAtBoot); got != "none" {
		t.Errorf("it says %s", got)
	}
	if _, is, err := atboot.Read(n.machine.Reader().Files); is || err != nil {
		t.Errorf("something is restored at boot: %v, %v", is, err)
	}
}

// wantBootsTold wants events of so many boots that went wrong, each with its own boot and this cause.
func (n *node) wantBootsTold(boots int, cause string) {
	n.t.Helper()
	list := &corev1.EventList{}
	if err := n.api.List(n.t.Context(), list, client.InNamespace(n.ns)); err != nil {
		n.t.Fatal(err)
	}
	told, all := map[string]bool{}, 0
	for i := range list.Items {
		e := &list.Items[i]
		if e.Reason == string(reason.BootRestoreFailed) && strings.Contains(e.Message, cause) && strings.Contains(e.Message, reason.BootRestoreFailed.Fix()) {
			told[e.Message] = true
			all++
		}
	}
	if len(told) != boots || all != boots {
		n.t.Errorf("%d events tell of %d boots, want %d: %v", all, len(told), boots, told)
	}
}
