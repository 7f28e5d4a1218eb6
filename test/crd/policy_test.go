// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"fmt"
	"strings"
	"testing"
)

// policy returns a SriovNetworkNodePolicy that is accepted as it is, with further lines of its spec.
// A line takes the place of the field it names.
func policy(lines ...string) string {
	fields := []string{
		"resourceName: cx5_vfs",
		"nodeSelector: {}",
		"numVfs: 8",
		"nicSelector: {vendor: \"15b3\"}",
	}
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		kept := fields[:0:0]
		for _, field := range fields {
			if !strings.HasPrefix(field, name+":") {
				kept = append(kept, field)
			}
		}
		fields = append(kept, line)
	}
	return object("SriovNetworkNodePolicy", "policy", fields...)
}

// object returns an object of the kind with the lines as its spec.
func object(kind, name string, lines ...string) string {
	text := fmt.Sprintf("apiVersion: sriovnetwork.openshift.io/v1\nkind: %s\nmetadata: {name: %s, namespace: kube-system}\nspec:\n", kind, name)
	for _, line := range lines {
		text += "  " + line + "\n"
	}
	return text
}

func TestPoliciesThatCanWorkAreAccepted(t *testing.T) {
	s := newServer(t)
	for name, text := range map[string]string{
		"the least a policy may say":                  policy(),
		"the quick start":                             policy("eSwitchMode: switchdev", "nicSelector: {pfNames: [ens41f0np0, ens41f1np1]}", "numVfs: 3"),
		"an empty nicSelector, which matches nothing": policy("nicSelector: {}"),
		"numVfs 0":                                      policy("numVfs: 0"),
		"more VFs than any NIC has":                     policy("numVfs: 100000"),
		"a range of all VFs":                            policy("nicSelector: {pfNames: [\"ens1f0#0-7\"]}"),
		"a range of one VF":                             policy("nicSelector: {pfNames: [\"ens1f0#7-7\"]}"),
		"two ranges of one PF":                          policy("nicSelector: {pfNames: [\"ens1f0#0-1\", \"ens1f0#4-5\"]}"),
		"overlapping ranges, which only warn":           policy("nicSelector: {pfNames: [\"ens1f0#0-4\", \"ens1f0#4-5\"]}"),
		"a range on a name with a dash":                 policy("nicSelector: {pfNames: [\"enp3s0-a#0-1\"]}"),
		"a range with leading zeros":                    policy("nicSelector: {pfNames: [\"ens1f0#00-07\"]}"),
		"a name as long as an alternative name may be":  policy("nicSelector: {pfNames: [" + strings.Repeat("a", 127) + "]}"),
		"several hundred PF names":                      policy("nicSelector: {pfNames: [" + strings.Repeat("\"ens1f0#0-1\", ", 511) + "ens1f0]}"),
		"every field of nicSelector":                    policy("nicSelector: {vendor: \"15b3\", deviceID: \"1017\", rootDevices: [\"0000:5f:00.0\"], pfNames: [ens1f0], netFilter: \"openstack/NetworkID:1\"}"),
		"priority 0":                                    policy("priority: 0"),
		"vfio-pci":                                      policy("deviceType: vfio-pci"),
		"vfio-pci that says no to RDMA":                 policy("deviceType: vfio-pci", "isRdma: false"),
		"RDMA on the kernel driver":                     policy("deviceType: netdevice", "isRdma: true"),
		"RDMA without a device type":                    policy("isRdma: true"),
		"InfiniBand":                                    policy("linkType: IB", "isRdma: true"),
		"InfiniBand in lower case, legacy":              policy("linkType: ib", "eSwitchMode: legacy"),
		"switchdev on Ethernet in lower case":           policy("eSwitchMode: switchdev", "linkType: eth"),
		"switchdev on Ethernet in upper case":           policy("eSwitchMode: switchdev", "linkType: ETH"),
		"vDPA in switchdev":                             policy("eSwitchMode: switchdev", "vdpaType: virtio"),
		"vDPA for virtual machines, RDMA as well":       policy("eSwitchMode: switchdev", "vdpaType: vhost", "isRdma: true"),
		"a bridge in switchdev":                         policy("eSwitchMode: switchdev", "bridge: {ovs: {bridge: {datapathType: netdev, failMode: secure}, uplink: {interface: {type: dpdk, mtuRequest: 9000}}}}"),
		"an empty bridge in legacy":                     policy("bridge: {}"),
		"an empty bridge on an externally managed PF":   policy("bridge: {}", "externallyManaged: true"),
		"externally managed":                            policy("externallyManaged: true"),
		"a one-letter resource":                         policy("resourceName: a"),
		"a resource with dashes, underscores, capitals": policy("resourceName: Cx5-sriov_switchdev9"),
		"a resource of 63 letters":                      policy("resourceName: " + strings.Repeat("a", 63)),
		"a NIC in use, on request":                      policy("allowInUse: true", "allowUnlistedNics: true"),
		"a policy without a spec":                       "apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkNodePolicy\nmetadata: {name: empty}\n",
		"the policy named default of old releases":      object("SriovNetworkNodePolicy", "default", "resourceName: \"\"", "nodeSelector: {}", "numVfs: 0", "nicSelector: {}"),
		"several policies may share a resource's name":  policy("resourceName: default"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, errs := s.admit(t, text); len(errs) > 0 {
				t.Errorf("refused: %v\n%s", errs.ToAggregate(), text)
			}
		})
	}
}

func TestPoliciesThatCanNeverWorkAreRefused(t *testing.T) {
	const (
		shape    = "after '#' comes one range of VFs"
		backward = "the range ends before it starts"
		past     = "a range ends past the last VF, which is numVfs-1"
		resource = "must be letters and digits, with '-' and '_' only in between"
	)
	s := newServer(t)
	for name, test := range map[string]struct{ text, field, want string }{
		"# without a range":              {policy("nicSelector: {pfNames: [\"ens1f0#\"]}"), "spec.nicSelector.pfNames[0]", shape},
		"# with one number":              {policy("nicSelector: {pfNames: [ens1f1, \"ens1f0#3\"]}"), "spec.nicSelector.pfNames[1]", shape},
		"# with letters":                 {policy("nicSelector: {pfNames: [\"ens1f0#a-c\"]}"), "spec.nicSelector.pfNames[0]", shape},
		"# twice":                        {policy("nicSelector: {pfNames: [\"ens1f0#0-1#2-3\"]}"), "spec.nicSelector.pfNames[0]", shape},
		"a range with no start":          {policy("nicSelector: {pfNames: [\"ens1f0#-3\"]}"), "spec.nicSelector.pfNames[0]", shape},
		"a range with no end":            {policy("nicSelector: {pfNames: [\"ens1f0#3-\"]}"), "spec.nicSelector.pfNames[0]", shape},
		"a range of three parts":         {policy("nicSelector: {pfNames: [\"ens1f0#1-2-3\"]}"), "spec.nicSelector.pfNames[0]", shape},
		"a range of enormous numbers":    {policy("nicSelector: {pfNames: [\"ens1f0#0-99999999999999999999\"]}"), "spec.nicSelector.pfNames[0]", shape},
		"end before start":               {policy("nicSelector: {pfNames: [\"ens1f0#5-2\"]}"), "spec.nicSelector.pfNames[0]", backward},
		"end before start, as numbers":   {policy("nicSelector: {pfNames: [\"ens1f0#7-06\"]}"), "spec.nicSelector.pfNames[0]", backward},
		"end past the last VF":           {policy("nicSelector: {pfNames: [\"ens1f0#2-8\"]}"), "spec.nicSelector.pfNames", past},
		"end past the last VF, later":    {policy("nicSelector: {pfNames: [ens1f1, \"ens1f0#0-1\", \"ens1f0#2-10\"]}"), "spec.nicSelector.pfNames", past},
		"a range of no VFs at all":       {policy("nicSelector: {pfNames: [\"ens1f0#0-0\"]}", "numVfs: 0"), "spec.nicSelector.pfNames", past},
		"vfio-pci with RDMA":             {policy("deviceType: vfio-pci", "isRdma: true"), "spec.isRdma", "a VF on vfio-pci has no RDMA device"},
		"switchdev with InfiniBand":      {policy("eSwitchMode: switchdev", "linkType: IB"), "spec.eSwitchMode", "switchdev needs Ethernet links"},
		"switchdev with infiniband":      {policy("eSwitchMode: switchdev", "linkType: ib"), "spec.eSwitchMode", "switchdev needs Ethernet links"},
		"vDPA without an eSwitch mode":   {policy("vdpaType: vhost"), "spec.vdpaType", "vDPA needs eSwitchMode switchdev"},
		"vDPA in legacy":                 {policy("vdpaType: virtio", "eSwitchMode: legacy"), "spec.vdpaType", "vDPA needs eSwitchMode switchdev"},
		"vDPA on vfio-pci":               {policy("vdpaType: virtio", "eSwitchMode: switchdev", "deviceType: vfio-pci"), "spec.vdpaType", "vDPA needs the VF's kernel driver"},
		"a bridge without switchdev":     {policy("bridge: {ovs: {}}"), "spec.bridge", "a bridge needs eSwitchMode switchdev"},
		"a bridge on external VFs":       {policy("bridge: {ovs: {}}", "eSwitchMode: switchdev", "externallyManaged: true"), "spec.bridge", "a bridge cannot be managed on an externally managed PF"},
		"no resource name":               {policy("resourceName: \"\""), "spec.resourceName", resource},
		"a resource with its prefix":     {policy("resourceName: mellanox.com/cx5"), "spec.resourceName", resource},
		"a resource with a dot":          {policy("resourceName: cx5.vfs"), "spec.resourceName", resource},
		"a resource with a blank":        {policy("resourceName: \"cx5 vfs\""), "spec.resourceName", resource},
		"a resource that starts with _":  {policy("resourceName: _cx5"), "spec.resourceName", resource},
		"a resource that ends with -":    {policy("resourceName: cx5-"), "spec.resourceName", resource},
		"a resource of 64 letters":       {policy("resourceName: " + strings.Repeat("a", 64)), "spec.resourceName", "Too long"},
		"priority 100":                   {policy("priority: 100"), "spec.priority", "should be less than or equal to 99"},
		"priority below 0":               {policy("priority: -1"), "spec.priority", "should be greater than or equal to 0"},
		"mtu 0":                          {policy("mtu: 0"), "spec.mtu", "should be greater than or equal to 1"},
		"numVfs below 0":                 {policy("numVfs: -1"), "spec.numVfs", "should be greater than or equal to 0"},
		"a device type that is unknown":  {policy("deviceType: uio"), "spec.deviceType", "Unsupported value"},
		"a link type that is unknown":    {policy("linkType: Eth"), "spec.linkType", "Unsupported value"},
		"an eSwitch mode of that is not": {policy("eSwitchMode: none"), "spec.eSwitchMode", "Unsupported value"},
		"no numVfs":                      {object("SriovNetworkNodePolicy", "p", "resourceName: a", "nodeSelector: {}", "nicSelector: {}"), "spec.numVfs", "Required value"},
		"no nodeSelector":                {object("SriovNetworkNodePolicy", "p", "resourceName: a", "numVfs: 1", "nicSelector: {}"), "spec.nodeSelector", "Required value"},
		"no nicSelector":                 {object("SriovNetworkNodePolicy", "p", "resourceName: a", "numVfs: 1", "nodeSelector: {}"), "spec.nicSelector", "Required value"},
		"no resourceName":                {object("SriovNetworkNodePolicy", "p", "numVfs: 1", "nodeSelector: {}", "nicSelector: {}"), "spec.resourceName", "Required value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := s.admit(t, test.text)
			if len(errs) != 1 {
				t.Fatalf("got %d errors, want 1: %v\n%s", len(errs), errs.ToAggregate(), test.text)
			}
			if errs[0].Field != test.field || !strings.Contains(errs[0].Error(), test.want) {
				t.Errorf("got  %v\nwant %s: … %s", errs[0], test.field, test.want)
			}
		})
	}
}
