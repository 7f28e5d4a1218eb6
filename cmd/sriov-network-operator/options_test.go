// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

func TestOptionsComeFromFlagsThenFromTheEnvironmentThenFromDefaults(t *testing.T) {
	defaults := options{
		Namespace: "kube-system", MetricsAddress: ":8443", HealthAddress: ":8081", LeaderElect: true,
		Workers: defaultWorkers, StaleDelay: 30 * time.Minute, DrainDeadline: 10 * time.Minute,
	}
	tests := map[string]struct {
		args []string
		env  map[string]string
		want func(*options)
		says string
	}{
		"nothing is said": {want: func(*options) {}},
		"the environment": {
			env:  map[string]string{envNamespace: "sriov", envStaleDelay: "5"},
			want: func(o *options) { o.Namespace, o.StaleDelay = "sriov", 5*time.Minute },
		},
		"a flag counts more than the environment": {
			args: []string{"-namespace", "other", "-stale-node-state-delay", "0", "-drain-deadline", "1h"},
			env:  map[string]string{envNamespace: "sriov", envStaleDelay: "5"},
			want: func(o *options) { o.Namespace, o.StaleDelay, o.DrainDeadline = "other", 0, time.Hour },
		},
		"a negative delay is the default": {env: map[string]string{envStaleDelay: "-1"}, want: func(*options) {}},
		"a delay that is no number":       {env: map[string]string{envStaleDelay: "soon"}, want: func(*options) {}},
		"how things are deployed": {
			env: map[string]string{
				envClusterType: "openshift", envResourcePrefix: "mellanox.com", envMetricsPort: "9111", "IMAGE_PULL_SECRETS": "a,b", "DEV_MODE": "TRUE",
				"SRIOV_DEVICE_PLUGIN_IMAGE": "plugin:1",
			},
			want: func(o *options) {
				o.Operands.Platform, o.Operands.Certificates.Source = operand.OpenShift, operand.ServiceCA
				o.Operands.ResourcePrefix, o.Operands.Metrics.Port, o.Operands.PullSecrets = "mellanox.com", 9111, []string{"a", "b"}
				o.Operands.DevMode, o.Operands.Images.DevicePlugin = true, "plugin:1"
			},
		},
		"cert-manager makes certificates": {
			env:  map[string]string{envCertManager: "true"},
			want: func(o *options) { o.Operands.Certificates.Source = operand.CertManager },
		},
		"a cluster of another kind":   {env: map[string]string{envClusterType: "nomad"}, says: "CLUSTER_TYPE \"nomad\""},
		"a port that is none":         {env: map[string]string{envAPIServerPort: "0"}, says: "API_SERVER_PORT \"0\""},
		"a switch that is neither":    {env: map[string]string{"USE_EXTERNAL_DRAINER": "maybe"}, says: "USE_EXTERNAL_DRAINER \"maybe\""},
		"a prefix that is no domain":  {env: map[string]string{envResourcePrefix: "a/b"}, says: "RESOURCE_PREFIX \"a/b\""},
		"a namespace that cannot be":  {args: []string{"-namespace", "A/B"}, says: "A/B"},
		"no workers":                  {args: []string{"-workers", "0"}, says: "workers 0"},
		"a drain without time":        {args: []string{"-drain-deadline", "0"}, says: "drain-deadline 0s"},
		"an argument that is no flag": {args: []string{"run"}, says: "run"},
		"a flag that is not known":    {args: []string{"-no-such-flag"}, says: "no-such-flag"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readOptions(test.args, func(key string) string { return test.env[key] }, io.Discard)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error %v, want %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := defaults
			test.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfANodeOnlyWhatIsReadIsCached(t *testing.T) {
	draining := corev1.Taint{Key: sriovv1.TaintDraining, Effect: corev1.TaintEffectNoSchedule}
	got, err := trimNode(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: "n", ResourceVersion: "7", Labels: map[string]string{"a": "b"},
			Annotations:   map[string]string{sriovv1.AnnotationNodeDrain: "Idle", "other": "x"},
			ManagedFields: []metav1.ManagedFieldsEntry{{}},
		},
		Spec: corev1.NodeSpec{
			Unschedulable: true, PodCIDR: "10.0.0.0/8",
			Taints: []corev1.Taint{{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}, draining},
		},
		Status: corev1.NodeStatus{Phase: corev1.NodeRunning, Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: "n", ResourceVersion: "7", Labels: map[string]string{"a": "b"},
			Annotations: map[string]string{sriovv1.AnnotationNodeDrain: "Idle"},
		},
		Spec:   corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{draining}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
}

// TestANodeIsRenderedTheSameFromWhatIsCachedOfIt holds the trimming against the one who reads.
func TestANodeIsRenderedTheSameFromWhatIsCachedOfIt(t *testing.T) {
	pf := func(address string, vfs ...sriovv1.VirtualFunction) sriovv1.InterfaceExt {
		return sriovv1.InterfaceExt{
			Name: "ens1f" + address[len(address)-1:], PciAddress: address, Vendor: "15b3", DeviceID: "1017", TotalVfs: 8, NumVfs: len(vfs), VFs: vfs,
		}
	}
	vf := func(address string, id int) sriovv1.VirtualFunction {
		return sriovv1.VirtualFunction{PciAddress: address, VfID: id, Vendor: "15b3", DeviceID: "1018", Name: "v", Mac: "02:00:00:00:00:01", Assigned: "ns/pod"}
	}
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	state.Status.Interfaces = []sriovv1.InterfaceExt{
		pf("0000:d8:00.0"),
		pf("0000:d8:00.1", vf("0000:d8:00.1", 0)), // the VF of a virtual machine
		pf("0000:d8:00.2", vf("0000:d8:02.0", 0)),
		pf("0000:d8:00.3", vf("0000:d8:03.0", 0), vf("0000:d8:03.1", 1), vf("0000:d8:03.2", 2)),
	}
	rules := fleet.New(fleet.Objects{Policies: []sriovv1.SriovNetworkNodePolicy{{
		ObjectMeta: metav1.ObjectMeta{Name: "p"},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "r", NumVfs: 4, NodeSelector: map[string]string{}, NicSelector: sriovv1.SriovNetworkNicSelector{Vendor: "15b3"},
		},
	}}}, claims.Claims{})
	node := nodestate.Node{Name: "n", Labels: nodestate.DefaultNodeSelector()}
	want, err := rules.Render(node, state.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	trimmed, err := trimNodeState(state)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rules.Render(node, trimmed.(*sriovv1.SriovNetworkNodeState))
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Spec.Interfaces) != 4 || want.Plugin == "" {
		t.Fatalf("rendered %+v", want.Spec)
	}
	if diff := cmp.Diff(want.Spec, got.Spec) + cmp.Diff(want.Plugin, got.Plugin); diff != "" {
		t.Errorf("rendered (-from the whole state +from what is cached):\n%s", diff)
	}
	if kept := state.Status.Interfaces[3].VFs; len(kept) != 2 || kept[0].Mac != "" || kept[0].Assigned != "" {
		t.Errorf("cached of three VFs: %+v", kept)
	}
}

func TestOfConfigMapsOnlyTheContentsOfThoseThatAreReadAreCached(t *testing.T) {
	tests := map[string]struct {
		name   string
		labels map[string]string
		keeps  bool
	}{
		"the NIC list":            {name: sriovv1.ConfigMapSupportedNICIDs, keeps: true},
		"claims":                  {name: sriovv1.ConfigMapSriovConfig, keeps: true},
		"claims by label":         {name: "rack-2", labels: map[string]string{sriovv1.LabelSriovConfigMap: "true"}, keeps: true},
		"a device plugin's shard": {name: sriovv1.ConfigMapDevicePluginConfig + "-1", keeps: true},
		"one of somebody else":    {name: "kube-root-ca.crt"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := trimConfigMap(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: test.name, Labels: test.labels}, Data: map[string]string{"k": "v"}})
			if err != nil {
				t.Fatal(err)
			}
			if kept := len(got.(*corev1.ConfigMap).Data) > 0; kept != test.keeps {
				t.Errorf("kept %t, want %t", kept, test.keeps)
			}
		})
	}
}
