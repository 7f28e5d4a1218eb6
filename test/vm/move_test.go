// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/vm"
)

// before makes the first PF what the existing operator leaves: VFs that the kernel gave their MACs, which became their
// admin MACs, three of them bound to vfio-pci without an override that stays; a record without what it was like at first;
// a rule that runs a script.
const before = `
modprobe igbvf
modprobe vfio-pci
dev=/sys/class/net/enp1s0f0/device
echo 0 >$dev/sriov_numvfs
echo 7 >$dev/sriov_numvfs
udevadm settle
ip link set enp1s0f0 up
for i in 0 1 2 3 4 5 6; do
	vf=$(basename $(readlink $dev/virtfn$i))
	ip link set enp1s0f0 vf $i mac $(cat $dev/virtfn$i/net/*/address)
	echo $vf >/sys/bus/pci/devices/$vf/driver/unbind
	if [ $i -lt 4 ]; then
		echo $vf >/sys/bus/pci/drivers_probe
		continue
	fi
	echo vfio-pci >/sys/bus/pci/devices/$vf/driver_override
	echo $vf >/sys/bus/pci/drivers/vfio-pci/bind
	printf '\000' >/sys/bus/pci/devices/$vf/driver_override
done
udevadm settle
mkdir -m 777 -p /etc/sriov-operator/pci /etc/udev
cat >/etc/udev/disable-nm-sriov.sh <<'END'
#!/bin/bash
[ ! -d "/sys/class/net/$1/device/physfn" ] && exit 0
pf_path=$(readlink /sys/class/net/$1/device/physfn -n)
[ "${pf_path##*/}" == "$2" ] && echo "NM_UNMANAGED=1"
END
chmod +x /etc/udev/disable-nm-sriov.sh
echo 'SUBSYSTEM=="net", ACTION=="add|change|move", ATTRS{device}=="0x10ca", IMPORT{program}="/etc/udev/disable-nm-sriov.sh $env{INTERFACE} 0000:01:00.0"' \
	>/etc/udev/rules.d/10-nm-disable-0000:01:00.0.rules
udevadm control --reload-rules
`

// look says what pods have of the first PF: a VF that was bound anew would have another index of its netdev.
const look = `
dev=/sys/class/net/enp1s0f0/device
cat $dev/sriov_numvfs
ip -o link show enp1s0f0 | tr '\\' '\n' | sed 's/.*mtu/mtu/; s/qdisc.*//; /vf /s/, spoof.*//'
for vf in $dev/virtfn*; do
	echo $(basename $(readlink $vf)) $(basename $(readlink $vf/driver)) $(readlink $vf/iommu_group)
done
for ns in '' '-n pod0' '-n pod1'; do
	ip $ns -o link show | sed -n 's/^\([0-9]*\): \(enp1s0f0v[0-9]*\).*\(mtu [0-9]*\).*\(link.ether [0-9a-f:]*\).*/\1 \2 \3 \4/p'
done
`

// A cluster that the existing operator has looked after moves over: its policies, the node state that it rendered, its
// annotations, its records and its VFs, two of which pods hold. No VF is touched, no pod is asked to leave, no traffic
// is lost; and what the records say is ours is given back with the policies.
func TestAClusterMovesOverWithoutTouchingAVF(t *testing.T) {
	ctx := t.Context()
	n := newMachineInCluster(t)
	n.Shell(ctx, before)
	n.wish(policy("net", 7, "enp1s0f0#0-3"), policy("dpdk", 7, "enp1s0f0#4-6", "deviceType: vfio-pci"))
	n.rendered(sriovv1.Interface{
		PciAddress: "0000:01:00.0", Name: "enp1s0f0", NumVfs: 7, VfGroups: []sriovv1.VfGroup{
			{PolicyName: "dpdk", ResourceName: "dpdk", DeviceType: sriovv1.DeviceTypeVfioPci, VfRange: "4-6"},
			{PolicyName: "net", ResourceName: "net", DeviceType: sriovv1.DeviceTypeNetdevice, VfRange: "0-3"},
		},
	})
	pod0, pod1 := n.pod(0), n.pod(1)
	n.Shell(ctx, "ip netns exec pod0 ping -q -c 3 -i 0.2 -w 30 192.0.2.11") // until the link is up
	var said bytes.Buffer
	ping, err := n.Start(ctx, vm.Command{
		Argv: []string{"ip", "netns", "exec", "pod0", "ping", "-q", "-i", "0.1", "192.0.2.11"}, Stdout: &said,
	})
	if err != nil {
		t.Fatal(err)
	}
	was := n.Shell(ctx, look)

	n.moves(pod0, pod1)
	n.synced(2)
	if diff := cmp.Diff(was, n.Shell(ctx, look)); diff != "" {
		t.Errorf("the machine has changed (- before, + after):\n%s", diff)
	}
	if asked := n.Shell(ctx, `journalctl -u daemon -o cat --no-pager | grep -c '"msg":"asked"' || true`); strings.TrimSpace(asked) != "0" {
		t.Errorf("the daemon asked for a turn %s times", strings.TrimSpace(asked))
	}
	for _, pod := range []string{pod0.Name, pod1.Name} {
		if n.leaves(pod) {
			t.Errorf("%s must leave", pod)
		}
	}
	if n.itself().Spec.Unschedulable {
		t.Error("the node is cordoned")
	}
	n.Shell(ctx, "pkill -INT ping")
	if _, err := ping.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), " 0% packet loss") {
		t.Errorf("traffic was lost:\n%s", said.String())
	}
	if rule := n.Shell(ctx, "cat /etc/udev/rules.d/10-nm-disable-0000:01:00.0.rules"); strings.Contains(rule, "PROGRAM") || strings.Contains(rule, "IMPORT") {
		t.Errorf("the rule still runs a script:\n%s", rule)
	}

	n.Shell(ctx, "ip netns del pod0; ip netns del pod1; udevadm settle")
	n.hold()
	n.wish()
	n.synced(0)
	n.want(t, "enp1s0f0", vfs(1500))
}

// rendered makes the node state that the existing operator has rendered, and its record on the machine; the annotations
// are those of a node that asks for nothing.
func (n *clusterNode) rendered(pf sriovv1.Interface) {
	n.t.Helper()
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: inOurs(worker), Spec: sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{pf}}}
	state.Annotations = map[string]string{
		sriovv1.AnnotationCurrentState: sriovv1.DrainIdle, sriovv1.AnnotationDesiredState: sriovv1.DrainIdle,
	}
	n.create(state)
	node := n.itself()
	node.Annotations = map[string]string{sriovv1.AnnotationNodeDrain: sriovv1.DrainIdle}
	if err := n.api.Update(n.t.Context(), node); err != nil {
		n.t.Fatal(err)
	}
	text, err := json.Marshal(pf)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.WriteFile(n.t.Context(), fmt.Sprintf("/etc/sriov-operator/pci/%s", pf.PciAddress), 0o644, text); err != nil {
		n.t.Fatal(err)
	}
}
