// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"strings"
	"testing"
)

func TestPoolsThatCanWorkAreAccepted(t *testing.T) {
	s := newServer(t)
	for name, lines := range map[string][]string{
		"an empty pool":                        {"{}"},
		"a number":                             {"maxUnavailable: 2"},
		"no node at all":                       {"maxUnavailable: 0"},
		"1%":                                   {"maxUnavailable: 1%"},
		"25%":                                  {"maxUnavailable: 25%"},
		"100%":                                 {"maxUnavailable: 100%"},
		"a percentage with leading zeros":      {"maxUnavailable: 005%"},
		"nodes by label":                       {"maxUnavailable: 1", "nodeSelector: {matchLabels: {rack: a}}"},
		"nodes by expression":                  {"nodeSelector: {matchExpressions: [{key: rack, operator: In, values: [a, b]}]}"},
		"OVS hardware offload by itself":       {"ovsHardwareOffloadConfig: {name: worker}"},
		"OVS hardware offload without a name":  {"ovsHardwareOffloadConfig: {}", "maxUnavailable: 1", "nodeSelector: {}"},
		"OVS hardware offload with empty name": {"ovsHardwareOffloadConfig: {name: \"\"}", "maxUnavailable: 1"},
		"OVS hardware offload and RDMA mode":   {"ovsHardwareOffloadConfig: {name: worker}", "rdmaMode: exclusive"},
		"whole nodes":                          {"disruptionScope: Node"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, errs := s.admit(t, object("SriovNetworkPoolConfig", "pool", lines...)); len(errs) > 0 {
				t.Errorf("refused: %v", errs.ToAggregate())
			}
		})
	}
}

func TestPoolsThatCanNeverWorkAreRefused(t *testing.T) {
	const number = `must be a number from 0 up, or a percentage from "1%" to "100%"`
	s := newServer(t)
	for name, test := range map[string]struct {
		lines       []string
		field, want string
	}{
		"a number below 0":                 {[]string{"maxUnavailable: -1"}, "spec.maxUnavailable", number},
		"0%":                               {[]string{"maxUnavailable: 0%"}, "spec.maxUnavailable", number},
		"101%":                             {[]string{"maxUnavailable: 101%"}, "spec.maxUnavailable", number},
		"a percentage below 0":             {[]string{"maxUnavailable: -5%"}, "spec.maxUnavailable", number},
		"a number in quotes":               {[]string{"maxUnavailable: \"5\""}, "spec.maxUnavailable", number},
		"a word":                           {[]string{"maxUnavailable: all"}, "spec.maxUnavailable", number},
		"offload and maxUnavailable":       {[]string{"ovsHardwareOffloadConfig: {name: worker}", "maxUnavailable: 1"}, "spec.maxUnavailable", "is not a drain pool"},
		"offload and nodeSelector":         {[]string{"ovsHardwareOffloadConfig: {name: worker}", "nodeSelector: {}"}, "spec.nodeSelector", "has the nodes of its MachineConfigPool"},
		"an RDMA mode that is unknown":     {[]string{"rdmaMode: private"}, "spec.rdmaMode", "Unsupported value"},
		"a disruption scope of that is no": {[]string{"disruptionScope: Rack"}, "spec.disruptionScope", "Unsupported value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := s.admit(t, object("SriovNetworkPoolConfig", "pool", test.lines...))
			if len(errs) != 1 || errs[0].Field != test.field || !strings.Contains(errs[0].Error(), test.want) {
				t.Errorf("got  %v\nwant %s: … %s", errs.ToAggregate(), test.field, test.want)
			}
		})
	}
}

func TestNetworksAndOperatorSettings(t *testing.T) {
	s := newServer(t)
	for name, test := range map[string]struct{ text, want string }{
		"a network of a resource":            {object("SriovNetwork", "n", "resourceName: cx5_vfs"), ""},
		"a network with every field":         {object("SriovNetwork", "n", "resourceName: cx5_vfs", "networkNamespace: apps", "capabilities: '{\"mac\": true}'", "ipam: '{\"type\": \"host-local\"}'", "vlan: 4094", "vlanQoS: 7", "vlanProto: 802.1AD", "spoofChk: \"on\"", "trust: \"off\"", "linkState: auto", "minTxRate: 0", "maxTxRate: 100", "metaPlugins: '{\"type\": \"vrf\"}'", "logLevel: \"\"", "logFile: /var/log/sriov.log"), ""},
		"a network through kube-ovn":         {object("SriovNetwork", "n", "resourceName: cx5_vfs", "kubeOVN: {provider: n.apps.ovn, serverSocket: /run/openvswitch/kube-ovn-daemon.sock, vfDriver: vfio-pci}"), ""},
		"a network with VLAN 4095":           {object("SriovNetwork", "n", "resourceName: cx5_vfs", "vlan: 4095"), "spec.vlan"},
		"a network with VLAN priority 8":     {object("SriovNetwork", "n", "resourceName: cx5_vfs", "vlanQoS: 8"), "spec.vlanQoS"},
		"a network with a rate below 0":      {object("SriovNetwork", "n", "resourceName: cx5_vfs", "minTxRate: -1"), "spec.minTxRate"},
		"a network without a resource":       {object("SriovNetwork", "n", "vlan: 1"), "spec.resourceName"},
		"trust as a YAML word for true":      {object("SriovNetwork", "n", "resourceName: cx5_vfs", "trust: true"), "spec.trust"},
		"an InfiniBand network":              {object("SriovIBNetwork", "n", "resourceName: ib_vfs", "linkState: enable", "ipam: '{}'"), ""},
		"an InfiniBand network, link up":     {object("SriovIBNetwork", "n", "resourceName: ib_vfs", "linkState: up"), "spec.linkState"},
		"an OVS network":                     {object("OVSNetwork", "n", "resourceName: ovs_vfs", "vlan: 4095", "mtu: 9000", "bridge: br0", "interfaceType: dpdk", "trunk: [{id: 120}, {minID: 500, maxID: 550}]"), ""},
		"an OVS network with VLAN 4096":      {object("OVSNetwork", "n", "resourceName: ovs_vfs", "vlan: 4096"), "spec.vlan"},
		"an OVS network with trunk id 4096":  {object("OVSNetwork", "n", "resourceName: ovs_vfs", "trunk: [{id: 4096}]"), "spec.trunk[0].id"},
		"empty operator settings":            {object("SriovOperatorConfig", "default", "{}"), ""},
		"operator settings, all of them":     {object("SriovOperatorConfig", "default", "configDaemonNodeSelector: {a: b}", "enableInjector: true", "enableOperatorWebhook: true", "logLevel: 2", "disableDrain: true", "enableOvsOffload: true", "configurationMode: systemd", "useCDI: true", "disablePlugins: [mellanox]", "featureGates: {whatever: true}", "configDaemonEnvVars: {A: b}", "podEvictionPolicy: delete", "podEvictionForce: true", "resourcePrefix: mellanox.com"), ""},
		"a resource prefix without a dot":    {object("SriovOperatorConfig", "default", "resourcePrefix: lab"), ""},
		"a resource prefix with a slash":     {object("SriovOperatorConfig", "default", "resourcePrefix: mellanox.com/"), "spec.resourcePrefix"},
		"a resource prefix with a capital":   {object("SriovOperatorConfig", "default", "resourcePrefix: Mellanox.com"), "spec.resourcePrefix"},
		"a log level of 3":                   {object("SriovOperatorConfig", "default", "logLevel: 3"), "spec.logLevel"},
		"a plugin that is unknown":           {object("SriovOperatorConfig", "default", "disablePlugins: [intel]"), "spec.disablePlugins[0]"},
		"an eviction policy that is unknown": {object("SriovOperatorConfig", "default", "podEvictionPolicy: force"), "spec.podEvictionPolicy"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := s.admit(t, test.text)
			if test.want == "" {
				if len(errs) > 0 {
					t.Errorf("refused: %v", errs.ToAggregate())
				}
				return
			}
			if len(errs) == 0 || errs[0].Field != test.want || errs[len(errs)-1].Field != test.want {
				t.Errorf("got %v, want errors about %s alone", errs.ToAggregate(), test.want)
			}
		})
	}
}

func TestAnAPIServerFillsInDefaults(t *testing.T) {
	s := newServer(t)
	for name, test := range map[string]struct {
		text string
		path string
		want any
	}{
		"a policy has the lowest priority":    {policy(), "spec.priority", int64(99)},
		"priority 0 stays 0":                  {policy("priority: 0"), "spec.priority", int64(0)},
		"a policy leaves the kernel driver":   {policy(), "spec.deviceType", "netdevice"},
		"a policy asks for no RDMA":           {policy(), "spec.isRdma", false},
		"a policy is not given an MTU":        {policy(), "spec.mtu", nil},
		"a policy is not given a mode":        {policy(), "spec.eSwitchMode", nil},
		"a network logs at info":              {object("SriovNetwork", "n", "resourceName: a"), "spec.logLevel", "info"},
		"an empty log level stays empty":      {object("SriovNetwork", "n", "resourceName: a", "logLevel: \"\""), "spec.logLevel", ""},
		"a network is not given a rate":       {object("SriovNetwork", "n", "resourceName: a"), "spec.minTxRate", nil},
		"pods are evicted, not deleted":       {object("SriovOperatorConfig", "default", "{}"), "spec.podEvictionPolicy", "evict"},
		"only affected pods leave":            {object("SriovNetworkPoolConfig", "pool", "{}"), "spec.disruptionScope", "AffectedPods"},
		"a pool is not given a limit":         {object("SriovNetworkPoolConfig", "pool", "{}"), "spec.maxUnavailable", nil},
		"a policy without spec stays without": {"apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkNodePolicy\nmetadata: {name: empty}\n", "spec", nil},
	} {
		t.Run(name, func(t *testing.T) {
			object, errs := s.admit(t, test.text)
			if len(errs) > 0 {
				t.Fatalf("refused: %v", errs.ToAggregate())
			}
			if got, _ := lookup(object, test.path); got != test.want {
				t.Errorf("%s: got %#v, want %#v", test.path, got, test.want)
			}
		})
	}
}

// The example of the description of the system has no vfID on its virtual functions.
func TestANodeStateWithoutVFNumbersIsAccepted(t *testing.T) {
	s := newServer(t)
	state, errs := s.admit(t, `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodeState
metadata: {name: node1, namespace: kube-system}
spec:
  interfaces:
  - eSwitchMode: switchdev
    name: ens41f0np0
    numVfs: 3
    pciAddress: 0000:5f:00.0
    vfGroups: [{policyName: policy, vfRange: 0-2, resourceName: cx_sriov_switchdev}]
status:
  interfaces:
  - Vfs:
    - {deviceID: "1018", driver: mlx5_core, pciAddress: "0000:5f:00.2", vendor: "15b3", Vlan: 0}
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
    unlisted: true
    inUseBy: [default route]
    warnings: [The MTU stays 1500.]
    conditions: [{type: Ready, status: "True", reason: AsDesired, message: "", lastTransitionTime: "2025-01-01T00:00:00Z"}]
`)
	if len(errs) > 0 {
		t.Fatalf("refused: %v", errs.ToAggregate())
	}
	interfaces, _ := lookup(state, "status.interfaces")
	pf := interfaces.([]any)[0].(map[string]any)
	for _, key := range []string{"Vfs", "totalvfs", "unlisted", "inUseBy", "warnings", "conditions"} {
		if _, ok := pf[key]; !ok {
			t.Errorf("the API server drops %s", key)
		}
	}
}
