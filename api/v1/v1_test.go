// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// roundTrip reads the object that is written in YAML and writes it as JSON, with keys sorted and indented.
func roundTrip(t *testing.T, text string, into any) string {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatalf("read %T: %v\n%s", into, err, text)
	}
	return canonical(t, into)
}

func canonical(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var generic any
	if err := json.Unmarshal(raw, &generic); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(generic, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// canonicalYAML is what roundTrip should return for an object that survives the trip.
func canonicalYAML(t *testing.T, text string) string {
	t.Helper()
	var generic any
	if err := yaml.Unmarshal([]byte(text), &generic); err != nil {
		t.Fatal(err)
	}
	return canonical(t, generic)
}

func TestObjectsKeepEveryKeyAndValue(t *testing.T) {
	for name, test := range map[string]struct {
		into any
		text string
	}{
		"a policy": {&sriovv1.SriovNetworkNodePolicy{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: policy, namespace: kube-system}
spec:
  nodeSelector: {feature.node.kubernetes.io/network-sriov.capable: "true"}
  eSwitchMode: switchdev
  numVfs: 3
  nicSelector:
    pfNames: [ens41f0np0, ens41f1np1]
  resourceName: cx_sriov_switchdev
`},
		"a policy with every field": {&sriovv1.SriovNetworkNodePolicy{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: policy, namespace: kube-system, generation: 3}
spec:
  resourceName: everything
  nodeSelector: {a: b}
  priority: 0
  mtu: 9000
  numVfs: 8
  nicSelector:
    vendor: "15b3"
    deviceID: "1017"
    rootDevices: ["0000:5f:00.0"]
    pfNames: [ens1f0#2-5]
    netFilter: openstack/NetworkID:1
  deviceType: netdevice
  isRdma: true
  needVhostNet: true
  linkType: ETH
  eSwitchMode: switchdev
  vdpaType: vhost
  excludeTopology: true
  externallyManaged: true
  allowUnlistedNics: true
  allowInUse: true
  bridge:
    ovs:
      bridge: {datapathType: netdev, externalIDs: {a: b}, otherConfig: {c: d}, failMode: secure}
      uplink: {interface: {type: dpdk, options: {e: f}, externalIDs: {g: h}, otherConfig: {i: j}, mtuRequest: 0}}
status:
  observedGeneration: 3
  matchedNodeCount: 0
  matchedPFCount: 0
  syncedNodeCount: 0
  failedNodeCount: 0
  conditions: [{type: Ready, status: "False", reason: NoNodeMatches, message: m, lastTransitionTime: "2025-01-01T00:00:00Z"}]
`},
		"a node state": {&sriovv1.SriovNetworkNodeState{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodeState
metadata: {name: node1, namespace: kube-system}
spec:
  interfaces:
  - eSwitchMode: switchdev
    name: ens41f0np0
    numVfs: 3
    pciAddress: 0000:5f:00.0
    vfGroups:
    - {policyName: policy, vfRange: 0-2, resourceName: cx_sriov_switchdev}
  - eSwitchMode: switchdev
    name: ens41f1np1
    numVfs: 3
    pciAddress: 0000:5f:00.1
    vfGroups:
    - {policyName: policy, vfRange: 0-2, resourceName: cx_sriov_switchdev}
status:
  interfaces:
  - Vfs:
    - {deviceID: "1018", driver: mlx5_core, pciAddress: "0000:5f:00.2", vendor: "15b3", vfID: 0}
    - {deviceID: "1018", driver: mlx5_core, pciAddress: "0000:5f:00.3", vendor: "15b3", vfID: 1}
    - {deviceID: "1018", driver: mlx5_core, pciAddress: "0000:5f:00.4", vendor: "15b3", vfID: 2}
    deviceID: "1017"
    driver: mlx5_core
    linkSpeed: 25000 Mb/s
    linkType: ETH
    mac: 08:c0:eb:f4:85:ab
    mtu: 1500
    name: ens41f0np0
    numVfs: 3
    pciAddress: 0000:5f:00.0
    totalvfs: 3
    vendor: "15b3"
`},
		"a node state with every field": {&sriovv1.SriovNetworkNodeState{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodeState
metadata: {name: node1, namespace: kube-system}
spec:
  interfaces:
  - pciAddress: 0000:5f:00.0
    numVfs: 3
    mtu: 9000
    name: ens1f0
    linkType: ETH
    eSwitchMode: switchdev
    externallyManaged: true
    allowUnlistedNics: true
    allowInUse: true
    vfGroups:
    - {resourceName: r, deviceType: vfio-pci, vfRange: 0-2, policyName: p, mtu: 9000, isRdma: true, vdpaType: virtio}
  bridges:
    ovs:
    - name: br-0000_5f_00.0
      bridge: {datapathType: netdev}
      uplinks: [{pciAddress: "0000:5f:00.0", name: ens1f0, interface: {mtuRequest: 9000}}]
  system: {rdmaMode: exclusive}
status:
  observedGeneration: 2
  syncStatus: Failed
  lastSyncError: the reason
  system: {rdmaMode: shared}
  bridges: {ovs: [{name: br0}]}
  conditions: [{type: Ready, status: "False", reason: R, message: m, lastTransitionTime: "2025-01-01T00:00:00Z"}]
  interfaces:
  - name: ens1f0
    mac: 08:c0:eb:f4:85:ab
    driver: mlx5_core
    pciAddress: 0000:5f:00.0
    vendor: "15b3"
    deviceID: "1017"
    netFilter: openstack/NetworkID:1
    mtu: 1500
    numVfs: 3
    linkSpeed: 25000 Mb/s
    linkType: ETH
    linkAdminState: up
    eSwitchMode: legacy
    externallyManaged: true
    totalvfs: 16
    altNames: [enp95s0f0np0]
    unlisted: true
    inUseBy: [default route]
    warnings: [a sentence]
    conditions: [{type: Ready, status: "True", reason: R, message: m, lastTransitionTime: "2025-01-01T00:00:00Z"}]
    Vfs:
    - name: ens1f0v0
      mac: 08:c0:eb:f4:85:ac
      assigned: apps/pod
      driver: mlx5_core
      pciAddress: 0000:5f:00.2
      vendor: "15b3"
      deviceID: "1018"
      Vlan: 100
      mtu: 1500
      vfID: 0
      vdpaType: virtio
      representorName: ens1f0_0
      guid: 00:11:22:33:44:55:66:77
`},
		"a network with every field": {&sriovv1.SriovNetwork{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetwork
metadata: {name: net}
spec:
  networkNamespace: apps
  resourceName: r
  capabilities: '{"mac": true}'
  ipam: '{}'
  vlan: 1
  vlanQoS: 2
  vlanProto: 802.1ad
  spoofChk: "on"
  trust: "off"
  linkState: auto
  minTxRate: 0
  maxTxRate: 0
  metaPlugins: '{"type": "vrf"}'
  logLevel: debug
  logFile: /var/log/sriov.log
  kubeOVN: {provider: n.apps.ovn, serverSocket: /run/s.sock, vfDriver: vfio-pci}
status:
  conditions: [{type: Ready, status: "True", reason: NetworkReady, message: m, lastTransitionTime: "2025-01-01T00:00:00Z"}]
`},
		"an InfiniBand network with every field": {&sriovv1.SriovIBNetwork{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovIBNetwork
metadata: {name: net}
spec: {networkNamespace: apps, resourceName: r, capabilities: '{}', ipam: '{}', linkState: disable, metaPlugins: '{}'}
`},
		"an OVS network with every field": {&sriovv1.OVSNetwork{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: OVSNetwork
metadata: {name: net}
spec:
  networkNamespace: apps
  resourceName: r
  capabilities: '{}'
  ipam: '{}'
  vlan: 100
  mtu: 1500
  trunk: [{id: 0}, {minID: 0, maxID: 550}]
  bridge: br0
  metaPlugins: '{}'
  interfaceType: dpdk
`},
		"a pool with every field": {&sriovv1.SriovNetworkPoolConfig{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkPoolConfig
metadata: {name: pool}
spec:
  ovsHardwareOffloadConfig: {name: worker}
  nodeSelector: {matchLabels: {a: b}}
  maxUnavailable: 25%
  rdmaMode: exclusive
  disruptionScope: Node
status:
  observedGeneration: 1
  matchedNodeCount: 0
  conditions: [{type: Ready, status: "True", reason: R, message: m, lastTransitionTime: "2025-01-01T00:00:00Z"}]
`},
		"a pool in which no node may be out": {&sriovv1.SriovNetworkPoolConfig{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkPoolConfig
metadata: {name: pool}
spec: {maxUnavailable: 0, nodeSelector: {}}
`},
		"operator settings with every field": {&sriovv1.SriovOperatorConfig{}, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovOperatorConfig
metadata: {name: default}
spec:
  configDaemonNodeSelector: {a: b}
  enableInjector: true
  enableOperatorWebhook: true
  logLevel: 2
  disableDrain: true
  enableOvsOffload: true
  configurationMode: systemd
  useCDI: true
  disablePlugins: [mellanox]
  featureGates: {manageSoftwareBridges: false}
  configDaemonEnvVars: {A: b}
  podEvictionPolicy: delete
  podEvictionForce: true
  resourcePrefix: mellanox.com
status:
  observedGeneration: 1
  injector: i
  operatorWebhook: w
  conditions: [{type: Ready, status: "True", reason: OperatorConfigReady, message: m, lastTransitionTime: "2025-01-01T00:00:00Z"}]
`},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(canonicalYAML(t, test.text), roundTrip(t, test.text, test.into)); diff != "" {
				t.Errorf("object differs after a round trip (-want +got):\n%s", diff)
			}
		})
	}
}

// Other software writes virtual functions without a number and reads them with one.
func TestVFNumberIsOptionalWhenReadAndAlwaysWritten(t *testing.T) {
	var vf sriovv1.VirtualFunction
	got := roundTrip(t, `pciAddress: "0000:5f:00.2"`, &vf)
	want := canonicalYAML(t, `{pciAddress: "0000:5f:00.2", vfID: 0}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPriorityThatIsNotSetIsNotWritten(t *testing.T) {
	if got := canonical(t, sriovv1.SriovNetworkNodePolicySpec{}); strings.Contains(got, "priority") {
		t.Errorf("an unset priority was written, and would read as the highest:\n%s", got)
	}
}

func TestEveryCRDHasATypeInTheScheme(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := sriovv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, crd := range definitions(t) {
		for _, kind := range []string{crd.Spec.Names.Kind, crd.Spec.Names.ListKind} {
			if _, err := scheme.New(sriovv1.SchemeGroupVersion.WithKind(kind)); err != nil {
				t.Errorf("kind %s: %v", kind, err)
			}
		}
	}
}

// definition is the part of a CRD that people and other software rely on by name.
type definition struct {
	Metadata struct{ Name string }
	Spec     struct {
		Group string
		Scope string
		Names struct {
			Kind, ListKind, Plural, Singular string
			ShortNames                       []string
		}
		Versions []struct {
			Name                     string
			Served, Storage          bool
			Subresources             map[string]any
			AdditionalPrinterColumns []column
		}
	}
}

type column struct {
	Name, Type, JSONPath string
	Priority             int
}

func definitions(t *testing.T) []definition {
	t.Helper()
	files, err := filepath.Glob("../../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs in config/crd: %v", err)
	}
	crds := make([]definition, 0, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd definition
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatalf("read %s: %v", file, err)
		}
		crds = append(crds, crd)
	}
	return crds
}

func TestCRDsHaveTheNamesThatOthersRelyOn(t *testing.T) {
	type names struct{ Plural, ShortNames string }
	want := map[string]names{
		"OVSNetwork":             {"ovsnetworks", ""},
		"SriovIBNetwork":         {"sriovibnetworks", ""},
		"SriovNetwork":           {"sriovnetworks", ""},
		"SriovNetworkNodePolicy": {"sriovnetworknodepolicies", "snsp"},
		"SriovNetworkNodeState":  {"sriovnetworknodestates", "sns"},
		"SriovNetworkPoolConfig": {"sriovnetworkpoolconfigs", ""},
		"SriovOperatorConfig":    {"sriovoperatorconfigs", ""},
	}
	got := map[string]names{}
	for _, crd := range definitions(t) {
		n := crd.Spec.Names
		got[n.Kind] = names{n.Plural, strings.Join(n.ShortNames, ",")}

		if crd.Spec.Group != sriovv1.GroupName || crd.Spec.Scope != "Namespaced" || n.Singular != strings.ToLower(n.Kind) ||
			crd.Metadata.Name != n.Plural+"."+sriovv1.GroupName {
			t.Errorf("%s: group %s, scope %s, singular %s, name %s", n.Kind, crd.Spec.Group, crd.Spec.Scope, n.Singular, crd.Metadata.Name)
		}
		if len(crd.Spec.Versions) != 1 {
			t.Fatalf("%s: %d versions, want 1", n.Kind, len(crd.Spec.Versions))
		}
		version := crd.Spec.Versions[0]
		if _, status := version.Subresources["status"]; version.Name != sriovv1.Version || !version.Served || !version.Storage || !status {
			t.Errorf("%s: version %+v, want v1, served, stored, with status", n.Kind, version)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCRDsShowTheColumnsThatPeopleKnow(t *testing.T) {
	ready := column{Name: "Ready", Type: "string", JSONPath: `.status.conditions[?(@.type=="Ready")].status`}
	reason := column{Name: "Reason", Type: "string", JSONPath: `.status.conditions[?(@.type=="Ready")].reason`}
	age := column{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"}
	want := map[string][]column{
		"OVSNetwork":          {ready, reason, age},
		"SriovIBNetwork":      {ready, reason, age},
		"SriovNetwork":        {ready, reason, age},
		"SriovOperatorConfig": {ready, reason, age},
		"SriovNetworkNodePolicy": {
			{Name: "Priority", Type: "integer", JSONPath: ".spec.priority"},
			{Name: "Resource", Type: "string", JSONPath: ".spec.resourceName"},
			{Name: "NumVfs", Type: "integer", JSONPath: ".spec.numVfs"},
			{Name: "Nodes", Type: "integer", JSONPath: ".status.matchedNodeCount"},
			{Name: "Synced", Type: "integer", JSONPath: ".status.syncedNodeCount"},
			ready, reason, age,
		},
		"SriovNetworkNodeState": {
			{Name: "Sync Status", Type: "string", JSONPath: ".status.syncStatus"},
			{Name: "Desired Sync State", Type: "string", JSONPath: `.metadata.annotations['sriovnetwork\.openshift\.io/desired-state']`},
			{Name: "Current Sync State", Type: "string", JSONPath: `.metadata.annotations['sriovnetwork\.openshift\.io/current-state']`},
			reason, age,
		},
		"SriovNetworkPoolConfig": {
			{Name: "Max Unavailable", Type: "string", JSONPath: ".spec.maxUnavailable"},
			{Name: "RDMA Mode", Type: "string", JSONPath: ".spec.rdmaMode"},
			{Name: "Nodes", Type: "integer", JSONPath: ".status.matchedNodeCount"},
			ready, reason, age,
		},
	}
	got := map[string][]column{}
	for _, crd := range definitions(t) {
		for _, c := range crd.Spec.Versions[0].AdditionalPrinterColumns {
			if c.Priority == 0 { // others are shown by -o wide alone
				got[crd.Spec.Names.Kind] = append(got[crd.Spec.Names.Kind], c)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
