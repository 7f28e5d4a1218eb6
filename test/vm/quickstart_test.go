// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// quickStart is the policy of the quick start, for the PFs of the first card.
const quickStart = `apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata:
  name: policy
  namespace: kube-system
spec:
  nodeSelector:
    feature.node.kubernetes.io/network-sriov.capable: "true"
  eSwitchMode: switchdev
  numVfs: 3
  nicSelector:
    pfNames:
    - enp1s0f0
    - enp1s0f1
  resourceName: cx_sriov_switchdev
`

// What a user of the quick start does and sees, in its order: the node state tells of the PFs, a policy asks for VFs in
// switchdev mode, the node state and the node itself show them, the device plugin is to advertise them, and a network
// that names them has its attachment.
func TestTheQuickStart(t *testing.T) {
	ctx := t.Context()
	n := newClusterNode(t)
	// The daemon begins on a NIC that can do it.
	n.Shell(ctx, "systemctl stop daemon; modprobe sriov_esw pf=0000:01:00.0,0000:01:00.1; systemctl start daemon")
	n.await("four PFs with seven VFs each, and nothing asked for", func(s *sriovv1.SriovNetworkNodeState) string {
		got := ""
		for _, pf := range s.Status.Interfaces {
			if pf.Name == "enp0s7" {
				continue // the management NIC, which is a virtual function for a virtual deployment
			}
			got += fmt.Sprintf("%s %s:%s %d %s; ", pf.Name, pf.Vendor, pf.DeviceID, pf.TotalVfs, pf.LinkType)
		}
		want := ""
		for _, name := range []string{"enp1s0f0", "enp1s0f1", "enp2s0f0", "enp2s0f1"} {
			want += name + " 8086:10c9 7 ETH; "
		}
		return cmp.Diff(want, got)
	})

	n.wish(quickStart)
	n.synced(2)
	var state *sriovv1.SriovNetworkNodeState
	n.await("representors with the names that udev gives them", func(s *sriovv1.SriovNetworkNodeState) string {
		for _, name := range []string{"enp1s0f0", "enp1s0f1"} {
			for j, vf := range status(t, s, name).VFs {
				if vf.RepresentorName != fmt.Sprintf("%s_%d", name, j) {
					return fmt.Sprintf("%s of VF %d of %s", vf.RepresentorName, j, name)
				}
			}
		}
		state = s
		return ""
	})
	for i, name := range []string{"enp1s0f0", "enp1s0f1"} {
		asked, is := &state.Spec.Interfaces[i], status(t, state, name)
		group := sriovv1.VfGroup{PolicyName: "policy", ResourceName: "cx_sriov_switchdev", VfRange: "0-2"}
		got := asked.VfGroups[0]
		got.DeviceType = "" // the description leaves it out
		if diff := cmp.Diff(group, got); diff != "" || asked.Name != name || asked.NumVfs != 3 || asked.EswitchMode != sriovv1.EswitchModeSwitchdev {
			t.Errorf("of %s this is asked for: %+v\n%s", name, asked, diff)
		}
		if is.Name != name || is.NumVfs != 3 || len(is.VFs) != 3 || is.EswitchMode != sriovv1.EswitchModeSwitchdev {
			t.Errorf("%s is reported as %+v", name, is)
		}
		for j, vf := range is.VFs {
			if vf.VfID != j || vf.Driver != "igbvf" || vf.Vendor != "8086" || vf.DeviceID != "10ca" {
				t.Errorf("VF %d of %s is reported as %+v", j, name, vf)
			}
		}
		n.want(t, name, vfs(1500, repeat("igbvf", 3)...))
		if mode := n.Shell(ctx, "devlink dev eswitch show pci/"+is.PciAddress); !strings.Contains(mode, "mode switchdev") {
			t.Errorf("devlink says of %s: %s", name, mode)
		}
	}
	t.Run("the device plugin is to advertise the VFs", func(t *testing.T) { n.in(t).advertises() })
	t.Run("a network has its attachment", func(t *testing.T) { n.in(t).attaches() })
}

// status is what is reported of a PF.
func status(t *testing.T, state *sriovv1.SriovNetworkNodeState, name string) *sriovv1.InterfaceExt {
	t.Helper()
	for i := range state.Status.Interfaces {
		if pf := &state.Status.Interfaces[i]; pf.Name == name {
			return pf
		}
	}
	t.Fatalf("nothing is reported of %s", name)
	return nil
}

// advertises waits for the plugin's configuration, and looks that it means the VFs of both PFs.
func (n *clusterNode) advertises() {
	n.t.Helper()
	var config struct {
		Resources []struct {
			Name      string `json:"resourceName"`
			Selectors struct {
				PFNames []string `json:"pfNames"`
			} `json:"selectors"`
		} `json:"resourceList"`
	}
	n.watch(&corev1.ConfigMapList{}, sriovv1.DefaultNamespace, sriovv1.ConfigMapDevicePluginConfig, func(o client.Object) bool {
		cm, ok := o.(*corev1.ConfigMap)
		return ok && json.Unmarshal([]byte(cm.Data[worker]), &config) == nil && len(config.Resources) == 1
	})
	r := config.Resources[0]
	if got, want := fmt.Sprint(r.Name, r.Selectors.PFNames), "cx_sriov_switchdev[enp1s0f0 enp1s0f1]"; got != want {
		n.t.Errorf("the device plugin is told %s and not %s", got, want)
	}
	n.watch(&corev1.NodeList{}, "", worker, func(o client.Object) bool {
		return o.GetLabels()[sriovv1.LabelDevicePlugin] == sriovv1.LabelDevicePluginEnabled
	})
}

// attaches makes a network of the VFs and waits for its attachment.
func (n *clusterNode) attaches() {
	n.t.Helper()
	n.create(&sriovv1.SriovNetwork{
		ObjectMeta: inOurs("offload"),
		Spec:       sriovv1.SriovNetworkSpec{NetworkNamespace: "default", ResourceName: "cx_sriov_switchdev"},
	})
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("k8s.cni.cncf.io/v1")
	list.SetKind("NetworkAttachmentDefinitionList")
	n.watch(list, "default", "offload", func(o client.Object) bool {
		return o.GetAnnotations()["k8s.v1.cni.cncf.io/resourceName"] == "openshift.io/cx_sriov_switchdev"
	})
}

// watch waits for an object to be so.
func (n *clusterNode) watch(list client.ObjectList, namespace, name string, so func(client.Object) bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	w, err := n.api.Watch(ctx, list, client.InNamespace(namespace), client.MatchingFields{metav1.ObjectNameField: name})
	if err != nil {
		n.t.Fatal(err)
	}
	defer w.Stop()
	var last client.Object
	for e := range w.ResultChan() {
		if o, ok := e.Object.(client.Object); ok {
			if last = o; so(o) {
				return
			}
		}
	}
	n.t.Fatalf("%s is still %+v", name, last)
}
