// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package kube_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// plane is the control plane of this package's tests, with all that it can have.
var plane = kube.Share(kube.WithControllerManager(), kube.WithScheduler(), kube.WithKwok(20))

func TestMain(m *testing.M) {
	os.Exit(plane.Main(m))
}

// eventually waits until there is nothing wrong any more.
func eventually(t *testing.T, wrong func() error) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		err := wrong()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-tick.C:
		}
	}
}

func TestTheServerIsThePinnedVersion(t *testing.T) {
	c := plane.Cluster(t)
	text, err := os.ReadFile("binaries/kubernetes/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`k8s\.io/kubernetes (v\S+)`).FindStringSubmatch(string(text))[1]
	asker, err := discovery.NewDiscoveryClientForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	server, err := asker.ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if server.GitVersion != version {
		t.Errorf("the API server is %s, and go.mod pins %s", server.GitVersion, version)
	}
	if out := c.Kubectl(t, "version"); strings.Count(out, version) != 2 {
		t.Errorf("kubectl and server are not both %s:\n%s", version, out)
	}
}

func TestEveryKindIsServedUnderItsShortNames(t *testing.T) {
	c := plane.Cluster(t)
	files, err := filepath.Glob("../../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are %d CRDs, %v", len(files), err)
	}
	short := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &crd.Object); err != nil {
			t.Fatal(err)
		}
		plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
		names, _, _ := unstructured.NestedStringSlice(crd.Object, "spec", "names", "shortNames")
		short += len(names)
		for _, name := range append(names, plural) {
			if out := c.Kubectl(t, "get", name, "--all-namespaces", "-o", "name"); strings.Contains(out, "error") {
				t.Errorf("kubectl get %s: %s", name, out)
			}
		}
	}
	if short == 0 {
		t.Error("no kind has a short name")
	}
}

func policy(namespace string, edit func(*sriovv1.SriovNetworkNodePolicy)) *sriovv1.SriovNetworkNodePolicy {
	p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "policy"}}
	p.Spec.ResourceName = "vfs"
	p.Spec.NumVfs = 4
	p.Spec.NodeSelector = map[string]string{}
	p.Spec.NicSelector.PfNames = []string{"ens1f0"}
	edit(p)
	return p
}

func TestTheServerRefusesWhatTheCRDsRulesForbid(t *testing.T) {
	c := plane.Cluster(t)
	namespace := c.Namespace(t)
	cases := map[string]struct {
		edit func(*sriovv1.SriovNetworkNodePolicy)
		want string
	}{
		"a range past the last VF": {func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NicSelector.PfNames = []string{"ens1f0#2-4"} }, "a range ends past the last VF"},
		"RDMA on vfio-pci": {func(p *sriovv1.SriovNetworkNodePolicy) {
			p.Spec.DeviceType, p.Spec.IsRdma = "vfio-pci", true
		}, "a VF on vfio-pci has no RDMA device"},
		"a resource with a prefix": {func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.ResourceName = "mellanox.com/vfs" }, "without a prefix"},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.Client().Create(t.Context(), policy(namespace, x.edit))
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), x.want) {
				t.Errorf("error is %v, want one with %q", err, x.want)
			}
		})
	}
}

func TestTheServerFillsInDefaults(t *testing.T) {
	c := plane.Cluster(t)
	plain := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sriovnetwork.openshift.io/v1", "kind": "SriovNetworkNodePolicy",
		"metadata": map[string]any{"name": "plain", "namespace": c.Namespace(t)},
		"spec": map[string]any{
			"resourceName": "vfs", "numVfs": int64(2), "nodeSelector": map[string]any{},
			"nicSelector": map[string]any{"pfNames": []any{"ens1f0"}},
		},
	}}
	if err := c.Client().Create(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	var got sriovv1.SriovNetworkNodePolicy
	if err := c.Client().Get(t.Context(), client.ObjectKeyFromObject(plain), &got); err != nil {
		t.Fatal(err)
	}
	if got.Spec.DeviceType != "netdevice" || got.Spec.Priority == nil || *got.Spec.Priority != 99 {
		t.Errorf("device type %q, priority %v", got.Spec.DeviceType, got.Spec.Priority)
	}
}

// fenced finds the YAML of a page, with the comment before it.
var fenced = regexp.MustCompile("(?ms)^(<!-- [^\n]*-->\n)?```yaml\n(.*?)^```$")

func TestTheServerAcceptsEveryObjectOfTheDocumentation(t *testing.T) {
	c := plane.Cluster(t)
	accepted := 0
	err := fs.WalkDir(os.DirFS("../.."), "docs", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(filepath.Join("../..", path))
		if err != nil {
			return err
		}
		for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(block[1], "<!-- error:") {
				continue
			}
			for _, document := range regexp.MustCompile("(?m)^---$").Split(block[2], -1) {
				accepted += accept(t, c, path, document)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if accepted < 10 {
		t.Errorf("only %d objects were found", accepted)
	}
}

// accept has the API server check an object, if it is one of the operator's
// kinds, and returns how many it took.
func accept(t *testing.T, c *kube.Cluster, path, document string) int {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil || object.GroupVersionKind().GroupVersion() != sriovv1.SchemeGroupVersion {
		return 0
	}
	object.SetNamespace("default") // the page's own namespace need not be here
	if err := client.NewDryRunClient(c.Client()).Create(t.Context(), object); err != nil {
		t.Errorf("%s: %v\n%s", path, err, document)
		return 0
	}
	return 1
}

func TestSimulatedNodesRunPods(t *testing.T) {
	c := plane.Cluster(t)
	var nodes corev1.NodeList
	if err := c.Client().List(t.Context(), &nodes); err != nil {
		t.Fatal(err)
	}
	if len(nodes.Items) < 20 {
		t.Fatalf("there are %d nodes", len(nodes.Items))
	}
	namespace := c.Namespace(t)
	labels := map[string]string{"app": "web"}
	ds := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none.invalid/none:1"}}},
			},
		},
	}
	if err := c.Client().Create(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if err := c.Client().Get(t.Context(), client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		if ready := int(ds.Status.NumberReady); ready < len(nodes.Items) {
			return fmt.Errorf("the DaemonSet runs on %d of %d nodes", ready, len(nodes.Items))
		}
		return nil
	})
	// Garbage collection and the namespace's end are the controller manager's.
	if err := c.Client().Delete(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		var pods corev1.PodList
		if err := c.Client().List(t.Context(), &pods, client.InNamespace(namespace)); err != nil {
			return err
		}
		if len(pods.Items) > 0 {
			return fmt.Errorf("%d pods are left", len(pods.Items))
		}
		return nil
	})
}

func TestNodesComeInNumbers(t *testing.T) {
	t.Parallel()
	c := kube.Start(t)
	const count = 500
	started := time.Now()
	names := c.CreateNodes(t, count, func(n *corev1.Node) { n.Labels["rack"] = "a" })
	t.Logf("%d nodes were made in %.2f s", count, time.Since(started).Seconds())
	var nodes corev1.NodeList
	if err := c.Client().List(t.Context(), &nodes, client.MatchingLabels{"rack": "a"}); err != nil {
		t.Fatal(err)
	}
	if len(nodes.Items) != count || len(names) != count || names[0] != "node-0001" || names[count-1] != "node-0500" {
		t.Errorf("%d nodes are there, %d were made: %s to %s", len(nodes.Items), len(names), names[0], names[len(names)-1])
	}
	if more := c.CreateNodes(t, 1, nil); more[0] != "node-0501" {
		t.Errorf("the next node is %s", more[0])
	}
}

func whoAmI(t *testing.T, config *rest.Config) authenticationv1.UserInfo {
	t.Helper()
	cs, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := cs.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.UserInfo
}

func TestAUserHasTheNameGroupsAndExtraOfTheTestAndNoOtherRights(t *testing.T) {
	c := plane.Cluster(t)
	namespace := c.Namespace(t)
	config := c.User("jane", []string{"team"}, map[string][]string{"example.com/shift": {"night"}})
	me := whoAmI(t, config)
	if me.Username != "jane" || !strings.Contains(strings.Join(me.Groups, " "), "team") || me.Extra["example.com/shift"][0] != "night" {
		t.Errorf("the user is %+v", me)
	}
	jane, err := client.New(config, client.Options{Scheme: c.Client().Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	list := func() error {
		return jane.List(t.Context(), &sriovv1.SriovNetworkNodePolicyList{}, client.InNamespace(namespace))
	}
	if err := list(); !apierrors.IsForbidden(err) {
		t.Fatalf("without a role, a list gives %v", err)
	}
	for _, o := range []client.Object{
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reader"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{sriovv1.GroupName}, Resources: []string{"sriovnetworknodepolicies"}, Verbs: []string{"list"}}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reader"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "team"}},
		},
	} {
		if err := c.Client().Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, list) // RBAC learns of roles by a watch
}

func TestATokenOfAPodCarriesThePodsNode(t *testing.T) {
	c := plane.Cluster(t)
	namespace := c.Namespace(t)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "daemon"},
		Spec:       corev1.PodSpec{NodeName: "node-0003", Containers: []corev1.Container{{Name: "c", Image: "none.invalid/none:1"}}},
	}
	if err := c.Client().Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	me := whoAmI(t, c.ServiceAccount(t, namespace, "default", "daemon"))
	if want := "system:serviceaccount:" + namespace + ":default"; me.Username != want {
		t.Errorf("the user is %s, want %s", me.Username, want)
	}
	if node := me.Extra["authentication.kubernetes.io/node-name"]; len(node) != 1 || node[0] != "node-0003" {
		t.Errorf("the token names the node %q", node)
	}
}

func TestAKindCanAppearLater(t *testing.T) {
	t.Parallel()
	c := kube.Start(t)
	nad := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
		"metadata": map[string]any{"name": "net", "namespace": "default"},
		"spec":     map[string]any{"config": `{"cniVersion":"1.0.0"}`},
	}}
	if err := c.Client().Create(t.Context(), nad.DeepCopy()); err == nil {
		t.Fatal("the kind is there from the start")
	}
	c.Install(t, kube.NetworkAttachments(t))
	fresh, err := client.New(c.Config(), client.Options{}) // the first one remembers the kinds
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Create(t.Context(), nad); err != nil {
		t.Fatal(err)
	}
}

func TestARestartedServerKeepsItsAddressAndWhatItKnew(t *testing.T) {
	t.Parallel()
	c := kube.Start(t, kube.WithNetworkAttachments())
	namespace := c.Namespace(t)
	if err := c.Client().Create(t.Context(), policy(namespace, func(*sriovv1.SriovNetworkNodePolicy) {})); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	c.RestartServer(t)
	t.Logf("the API server was back in %.1f s", time.Since(started).Seconds())
	var policies sriovv1.SriovNetworkNodePolicyList
	eventually(t, func() error { return c.Client().List(t.Context(), &policies) })
	if len(policies.Items) != 1 {
		t.Errorf("there are %d policies", len(policies.Items))
	}
}

// childVariable tells this test binary to be the process that gets killed.
const childVariable = "KUBE_RIG_CHILD"

func TestAKilledTestProcessLeavesNoProgramRunning(t *testing.T) {
	if out := os.Getenv(childVariable); out != "" {
		c := kube.Start(t)
		if err := os.WriteFile(out, []byte(filepath.Dir(c.Kubeconfig())), 0o600); err != nil {
			t.Fatal(err)
		}
		<-t.Context().Done() // never: it is killed
	}
	t.Parallel()
	out := filepath.Join(t.TempDir(), "folder")
	child := self(t, out)
	var folder string
	eventually(t, func() error {
		text, err := os.ReadFile(out)
		folder = string(text)
		if err == nil && folder == "" {
			return errors.New("the child has written nothing yet")
		}
		return err
	})
	if len(running(t, folder)) < 2 {
		t.Fatalf("not both programs run in %s: %v", folder, running(t, folder))
	}
	if err := child.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if left := running(t, folder); len(left) > 0 {
			return fmt.Errorf("still running: %v", left)
		}
		return nil
	})
	// What it stored goes with the next control plane.
	kube.Start(t)
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of the killed process: %v", err)
	}
}

// self runs this test again, as the child.
func self(t *testing.T, out string) *os.Process {
	t.Helper()
	child, err := os.StartProcess(os.Args[0], []string{os.Args[0], "-test.run=^TestAKilledTestProcessLeavesNoProgramRunning$"},
		&os.ProcAttr{Env: append(os.Environ(), childVariable+"="+out), Files: []*os.File{nil, os.Stderr, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Kill() })
	return child
}

// running returns the programs whose command lines name a folder.
func running(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var programs []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), folder+"/") {
			program, _, _ := strings.Cut(string(text), "\x00")
			programs = append(programs, filepath.Base(program))
		}
	}
	return programs
}

func TestStartGivesUpWithTheContext(t *testing.T) {
	b, err := kube.FromCache()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := kube.Launch(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("it gave %v, %v", c, err)
	}
}
