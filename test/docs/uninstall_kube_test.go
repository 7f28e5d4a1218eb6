// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package docs

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/daemon"
	"github.com/kubeovn/sriov-network-operator/internal/holders"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// Titles of the page that is followed.
const (
	vfsStay  = "## The VFs stay"
	vfsGo    = "## The VFs go, too"
	leftOver = "## What is left"
	hangs    = "## When it does not end"
)

// Who does what the page says has the cluster and the machine as they were before.
func TestAfterAnUninstallNothingIsLeft(t *testing.T) {
	e := newEstate(t)
	cluster, node, machine := e.objects(), e.node(), e.look()
	e.install("systemd")
	e.use()
	if during := e.look(); slices.Equal(machine, during) || !slices.Contains(during, "etc/systemd/system/sriov-config.service") {
		t.Fatalf("not everything was done to the machine: %q", during)
	}
	for _, block := range e.blocks(vfsGo) {
		e.shell(block)
		if strings.Contains(block, "configurationMode") {
			e.runDaemon("daemon") // as the rollout does
			e.await("the end of the service", func() string {
				if slices.Contains(e.look(), "etc/systemd/system/sriov-config.service") {
					return "there"
				}
				return ""
			})
		}
	}
	e.end()
	for _, block := range e.blocks(leftOver) {
		e.shell(block)
	}
	if diff := cmp.Diff(machine, e.look()); diff != "" {
		t.Errorf("the machine (-before +after):\n%s", diff)
	}
	e.await("the cluster as it was", func() string { return cmp.Diff(cluster, e.objects()) })
	e.await("the node as it was", func() string { return cmp.Diff(node, e.node()) })
}

// Without the operator VFs stay, and one that is installed again touches none of them. A
// network that is left behind keeps its CRD, until its finalizer is taken off.
func TestVFsOutliveTheOperator(t *testing.T) {
	e := newEstate(t)
	e.install("daemon")
	e.use()
	machine := e.look()
	for _, block := range e.blocks(vfsStay) {
		e.shell(block)
	}
	e.end()
	e.install("daemon")
	e.await("the node", func() string {
		s := &sriovv1.SriovNetworkNodeState{}
		if err := e.api.Get(e.t.Context(), client.ObjectKey{Namespace: "kube-system", Name: "node1"}, s); err != nil {
			return err.Error()
		}
		if s.Status.SyncStatus != sriovv1.SyncStatusSucceeded || len(s.Spec.Interfaces) != 1 || s.Status.ObservedGeneration != s.Generation {
			return fmt.Sprintf("%s with %d PFs", s.Status.SyncStatus, len(s.Spec.Interfaces))
		}
		return ""
	})
	if diff := cmp.Diff(machine, e.look()); diff != "" {
		t.Errorf("the machine without the operator, and after its return (-before +after):\n%s", diff)
	}
	for _, block := range e.blocks(vfsStay) {
		e.shell(block)
	}
	e.end()
	e.shell("kubectl delete -k deploy/crds --wait=false")
	crds := func() string { return e.shell("kubectl get crds -o name | grep sriovnetwork.openshift.io || true") }
	const stuck = "customresourcedefinition.apiextensions.k8s.io/sriovnetworks.sriovnetwork.openshift.io\n"
	e.await("only the CRD of networks", func() string { return cmp.Diff(stuck, crds()) })
	for _, block := range e.blocks(hangs) {
		e.shell(block)
	}
	e.await("no CRD", crds)
}

// estate is a cluster with one node, whose machine is simulated.
type estate struct {
	t       *testing.T
	root    string
	page    page
	cluster *kube.Cluster
	api     client.Client
	bin     string
	machine *sim.Machine
	// ends end the operator and the daemon.
	ends map[string]func()
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	e := &estate{t: t, page: read(t, filepath.Join(root, "docs/how-to/uninstall.md")), bin: t.TempDir(), ends: map[string]func(){}}
	var err error
	if e.root, err = filepath.Abs(root); err != nil {
		t.Fatal(err)
	}
	e.machine = machine(t, filepath.Join(e.root, "test/machines/two-port-connectx5.yaml"))
	e.cluster = kube.Start(t, kube.WithControllerManager(), kube.WithScheduler(), kube.WithKwok(0), kube.WithNetworkAttachments())
	e.api = e.cluster.Client()
	e.shell("CGO_ENABLED=0 go build -buildvcs=false -o " + e.bin + "/ ./cmd/kubectl-sriov ./cmd/sriov-network-operator")
	// The rig has them already; here they come and go with the operator.
	e.shell("kubectl delete -k deploy/crds")
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:        "node1",
		Labels:      map[string]string{corev1.LabelOSStable: "linux", corev1.LabelHostname: "node1", sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue},
		Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
	}}
	if err := e.api.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	e.cluster.AwaitNodes(t, node.Name)
	t.Cleanup(e.end)
	return e
}

// blocks are the commands below a title of the page.
func (e *estate) blocks(title string) []string {
	e.t.Helper()
	var out []string
	first := slices.Index(e.page.lines, title)
	last := first + 1 + slices.IndexFunc(e.page.lines[first+1:], func(l string) bool { return strings.HasPrefix(l, "## ") })
	if last == first {
		last = len(e.page.lines)
	}
	for _, b := range e.page.blocks {
		if b.lang == "sh" && b.first > first && b.last < last {
			out = append(out, e.page.text(b))
		}
	}
	if first < 0 || len(out) == 0 {
		e.t.Fatalf("the page has no commands under %q", title)
	}
	return out
}

// shell runs commands as a person does, in the repository, and returns what they print.
func (e *estate) shell(script string) string {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", script)
	cmd.Dir = e.root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+e.cluster.Kubeconfig(), "KUBECACHEDIR="+filepath.Join(e.cluster.Folder(), "kubectl"),
		"PATH="+strings.Join([]string{e.bin, filepath.Dir(e.cluster.Program("kubectl")), os.Getenv("PATH")}, ":"))
	// What it starts has its output, too.
	cmd.WaitDelay = time.Second
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		e.t.Fatalf("%v of\n%s\n%s%s", err, script, out.String(), errs.String())
	}
	return out.String()
}

// await waits until there is nothing to complain of.
func (e *estate) await(what string, complaint func() string) {
	e.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		wrong := complaint()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			e.t.Fatalf("%s: still %s", what, wrong)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// install installs the operator as the page about that says. Kwok plays its pods; what
// they would run runs here, with the right of their account.
func (e *estate) install(mode string) {
	e.t.Helper()
	e.shell("kubectl apply --server-side -k deploy && kubectl wait --for=condition=Established crds --all")
	e.shell("kubectl apply --server-side -n kube-system -f deploy/sriov-operator-config-default.yaml")
	e.shell(`kubectl patch -n kube-system sriovoperatorconfig default --type=merge -p '{"spec": {"featureGates": {"metricsExporter": true}, "configurationMode": "` + mode + `"}}'`)
	config := filepath.Join(e.t.TempDir(), "kubeconfig")
	if err := kube.WriteKubeconfig(config, e.cluster.ServiceAccount(e.t, "kube-system", "sriov-network-operator", "")); err != nil {
		e.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(e.t.Context())
	operator := exec.CommandContext(ctx, filepath.Join(e.bin, "sriov-network-operator"), "--metrics-bind-address=0", "--health-probe-bind-address=0")
	operator.Cancel = func() error { return operator.Process.Signal(syscall.SIGTERM) }
	operator.WaitDelay = 20 * time.Second
	operator.Env = append(os.Environ(), "KUBECONFIG="+config, "SRIOV_NETWORK_CONFIG_DAEMON_IMAGE=a", "SRIOV_DEVICE_PLUGIN_IMAGE=b",
		"METRICS_EXPORTER_IMAGE=c", "METRICS_EXPORTER_KUBE_RBAC_PROXY_IMAGE=d")
	if err := operator.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.ends["operator"] = func() {
		stop()
		_ = operator.Wait() // it may have lost its account before
	}
	e.shell("kubectl wait -n kube-system sriovoperatorconfig default --for=condition=Ready --timeout=60s")
	e.runDaemon(mode)
}

// runDaemon runs the daemon of the node, in place of one that runs.
func (e *estate) runDaemon(mode string) {
	e.t.Helper()
	e.endOne("daemon")
	ctx, stop := context.WithCancel(e.t.Context())
	done := make(chan error, 1)
	go func() {
		done <- daemon.Run(ctx, daemon.Options{
			Node: "node1", Namespace: "kube-system", API: e.cluster.Config(), Host: e.machine.Host(), Holders: nobody{},
			AtBoot: mode == "systemd", Now: time.Now, Log: slog.New(slog.DiscardHandler),
		})
	}()
	e.ends["daemon"] = func() {
		stop()
		if err := <-done; err != nil {
			e.t.Errorf("the daemon ended with %v", err)
		}
	}
}

// nobody holds a VF.
type nobody struct{}

func (nobody) Pods(context.Context) ([]holders.Pod, error) { return nil, nil }

func (e *estate) endOne(name string) {
	if end := e.ends[name]; end != nil {
		end()
		delete(e.ends, name)
	}
}

// end ends operator and daemon, as it happens when their pods are gone.
func (e *estate) end() {
	e.endOne("daemon")
	e.endOne("operator")
}

// use makes one object of each kind that people make, and waits until all is as desired.
func (e *estate) use() {
	e.t.Helper()
	const objects = `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkPoolConfig
metadata: {name: pool, namespace: kube-system}
spec: {maxUnavailable: 1, rdmaMode: shared}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: net, namespace: kube-system}
spec: {nodeSelector: {}, resourceName: net, numVfs: 3, mtu: 9000, eSwitchMode: switchdev, nicSelector: {pfNames: [ens41f0np0]}}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetwork
metadata: {name: net, namespace: kube-system}
spec: {resourceName: net, networkNamespace: default}
`
	e.shell("kubectl apply -f - <<EOF" + objects + "EOF")
	e.shell("kubectl sriov status --watch")
	e.await("the attachment", func() string {
		return strings.TrimSuffix(e.shell("kubectl get network-attachment-definitions -n default -o name | grep -q /net || echo missing"), "\n")
	})
}

// look is all that there is to see of the machine: its NICs and its files.
func (e *estate) look() []string {
	e.t.Helper()
	var out, errs buffer
	r := reader{t: e.t, this: e.machine}
	if err := r.tool("kubectl sriov", []string{"discover", "-o", "yaml"}, &out, &errs); err != nil || r.code != 0 {
		e.t.Fatalf("look at the machine: %v %s", err, errs.String())
	}
	seen := strings.Split(out.String(), "\n")
	err := fs.WalkDir(e.machine.Host().Files, "etc", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			seen = append(seen, name)
		}
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return seen
}

// objects are the names of all objects in the cluster. Events are about what happened, and
// pass.
func (e *estate) objects() []string {
	e.t.Helper()
	kinds := strings.Fields(e.shell("kubectl api-resources --verbs=list -o name"))
	kinds = slices.DeleteFunc(kinds, func(k string) bool { return strings.HasPrefix(k, "events") })
	names := strings.Fields(e.shell("kubectl get -A -o name " + strings.Join(kinds, ",")))
	slices.Sort(names)
	return names
}

// node is what others write about the node: labels, annotations, taints.
func (e *estate) node() []string {
	e.t.Helper()
	var n corev1.Node
	if err := e.api.Get(e.t.Context(), client.ObjectKey{Name: "node1"}, &n); err != nil {
		e.t.Fatal(err)
	}
	var out []string
	for _, m := range []map[string]string{n.Labels, n.Annotations} {
		for key, value := range m {
			out = append(out, key+"="+value)
		}
	}
	for _, taint := range n.Spec.Taints {
		out = append(out, taint.ToString())
	}
	slices.Sort(out)
	return out
}
