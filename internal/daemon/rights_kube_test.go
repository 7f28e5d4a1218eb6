// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package daemon_test

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/daemon"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// deployed makes what is rendered of a group that says who may do what.
func (n *node) deployed(groups ...operand.Group) {
	n.t.Helper()
	images := operand.Images{ConfigDaemon: "daemon", DevicePlugin: "plugin"}
	out, _ := operand.Render(sriovv1.SriovOperatorConfig{}, operand.Settings{
		Namespace: n.ns, Images: images, Kinds: operand.Kinds{ValidatingAdmissionPolicy: true},
	})
	kinds := []string{
		"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	}
	for _, g := range groups {
		for _, o := range out.Of(g).Apply {
			if !slices.Contains(kinds, operand.RefOf(o).Kind) {
				continue
			}
			n.create(o)
			if o.GetNamespace() == "" { // it would stay for the next test
				n.t.Cleanup(func() {
					if err := n.api.Delete(context.WithoutCancel(n.t.Context()), o); err != nil {
						n.t.Error(err)
					}
				})
			}
		}
	}
}

// account is the configuration of the service account of a pod on the node.
func (n *node) account(cluster *kube.Cluster, name string) {
	n.t.Helper()
	n.create(&corev1.Pod{ObjectMeta: n.meta(name), Spec: corev1.PodSpec{
		NodeName: n.name, ServiceAccountName: name, Containers: []corev1.Container{{Name: "c", Image: "i"}},
	}})
	n.config.BearerToken = cluster.ServiceAccount(n.t, n.ns, name, name).BearerToken
}

// TestTheRightsThatAreRenderedAreEnoughAndNotTooMany lets the daemon do all that it ever does, with its own account.
func TestTheRightsThatAreRenderedAreEnoughAndNotTooMany(t *testing.T) {
	n := newNode(t, connectX5)
	n.deployed(operand.ConfigDaemon, operand.DevicePlugin)
	n.create(&corev1.ConfigMap{ObjectMeta: n.meta(sriovv1.ConfigMapSupportedNICIDs), Data: map[string]string{"Nvidia_mlx5_ConnectX-5": "15b3 1017 1018"}})
	n.create(&sriovv1.SriovOperatorConfig{ObjectMeta: n.meta(sriovv1.DefaultConfigName)})
	plugin := n.plugin("plugin")
	n.runs(plugin, true)
	n.account(n.cluster, "sriov-network-config-daemon")
	// Somebody else has just written: the node state is read again.
	n.proxy.Script(proxy.Rule{
		Match: func(q proxy.Request) bool { return q.Resource == "sriovnetworknodestates" && q.Verb == "update" },
		Times: 1, Fault: proxy.Answer{Code: http.StatusConflict},
	})
	n.start()
	n.want(pf(0, 2))
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.awaitEvent("SyncStatusChanged", "")
	n.awaitPod("plugin", "release", released)
	n.runs(plugin, false)
	n.pods.set(nil, n.hold("web", 0, 0))
	n.want(pf(0, 3))
	n.awaitNode(sriovv1.DrainRequired)
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
	n.awaitPod("plugin", "replacement", gone)
	n.awaitNode(sriovv1.DrainIdle)
	n.grant(sriovv1.DrainIdle, "")
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	n.usedAll("sriov-network-config-daemon")
}

// usedAll checks that every right of an account's roles was used.
func (n *node) usedAll(account string) {
	n.t.Helper()
	used := map[string]bool{}
	for _, q := range n.proxy.Requests() {
		resource := q.Resource
		if q.Subresource != "" {
			resource += "/" + q.Subresource
		}
		used[resource+" "+q.Verb] = true
		// An API server before 1.34 may not stream what a watch begins with; it is listed there.
		if q.Verb == "watch" {
			used[resource+" list"] = true
		}
	}
	var role rbacv1.Role
	var everywhere rbacv1.ClusterRole
	for key, object := range map[client.ObjectKey]client.Object{{Namespace: n.ns, Name: account}: &role, {Name: account}: &everywhere} {
		if err := n.api.Get(n.t.Context(), key, object); err != nil {
			n.t.Fatal(err)
		}
	}
	for _, rule := range slices.Concat(role.Rules, everywhere.Rules) {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				if !used[resource+" "+verb] {
					n.t.Errorf("it may %s %s in %v, and never does", verb, resource, rule.APIGroups)
				}
			}
		}
	}
}

func TestADevicePluginWaitsWithItsOwnRightsUntilTheDaemonLetsItGo(t *testing.T) {
	n := newNode(t, connectX5)
	n.deployed(operand.DevicePlugin)
	pod := n.plugin("waiting")
	n.account(n.cluster, "sriov-device-plugin")
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- daemon.AwaitConfig(ctx, n.config, n.ns, pod.Name, slog.New(slog.NewTextHandler(t.Output(), nil)))
	}()
	n.awaitPod("waiting", "the annotation", func(p *corev1.Pod) bool {
		return p != nil && p.Annotations[sriovv1.AnnotationDevicePluginWaitConfig] == "true"
	})
	select {
	case err := <-done:
		t.Fatalf("it does not wait: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+sriovv1.AnnotationDevicePluginWaitConfig+`":null}}}`))
	if err := n.api.Patch(t.Context(), pod, patch); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
