// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package main

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/certs"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// rig is a webhook with its own identity and the certificate that the operator makes,
// which the API server asks as the rendered configurations say.
type rig struct {
	t         *testing.T
	cluster   *kube.Cluster
	api       ctrlclient.Client
	namespace string
	proxy     *proxy.Proxy
	settings  operand.Settings
	mounted   *mounted
	program   *running
	told      *told
	// shift is how far the clock of who keeps certificates is off.
	shift atomic.Int64
}

// told are the warnings that a client got.
type told struct {
	mu   sync.Mutex
	list []string
}

func (w *told) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, text)
}

// taken are the warnings since the last time.
func (w *told) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.list
	w.list = nil
	return out
}

func newRig(t *testing.T) *rig {
	t.Helper()
	c := kube.Start(t)
	r := &rig{t: t, cluster: c, namespace: c.Namespace(t), proxy: proxy.New(1), told: &told{}}
	config := c.Config()
	config.WarningHandler = r.told
	r.api = r.client(config)
	r.settings = operand.Settings{Namespace: r.namespace, Images: operand.Images{Webhook: "i"}}
	// The certificate is made in the past, so that it is due while the test runs.
	r.shift.Store(int64(-300 * 24 * time.Hour))
	r.settings.Certificates.WebhookCA = r.keep()
	out, problems := operand.Render(r.config(), r.settings)
	if d := out.Of(operand.Webhook); d.State != operand.Deployed {
		t.Fatalf("the webhook is %v: %v", d.State, problems)
	}
	for _, o := range out.Of(operand.Webhook).Apply {
		switch o.(type) {
		case *corev1.ServiceAccount, *rbacv1.Role, *rbacv1.RoleBinding, *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding:
			r.create(o)
		}
	}
	r.mounted = mount(t, r.secret())
	identity := kube.As(c.Behind(t, r.proxy), "system:serviceaccount:"+r.namespace+":operator-webhook-sa",
		[]string{"system:serviceaccounts", "system:serviceaccounts:" + r.namespace, "system:authenticated"}, nil)
	r.program = serve(t, identity, r.mounted, options{Namespace: r.namespace})
	r.create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "operator-webhook-service"},
		// The API server calls such a Service by this name, and checks the certificate for
		// that of the Service.
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	})
	return r
}

func (r *rig) config() sriovv1.SriovOperatorConfig {
	out := wanted()
	out.Namespace = r.namespace
	return out
}

func (r *rig) client(config *rest.Config) ctrlclient.Client {
	r.t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		r.t.Fatal(err)
	}
	config.QPS = -1
	k, err := ctrlclient.New(config, ctrlclient.Options{Scheme: scheme})
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

func (r *rig) create(o ctrlclient.Object) {
	r.t.Helper()
	if err := r.api.Create(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
}

// keep keeps the certificate as the operator does, and returns the CA.
func (r *rig) keep() []byte {
	r.t.Helper()
	keeper := certs.Keeper{
		Reader: r.api, Writer: r.api, Random: rand.Reader,
		Now: func() time.Time { return time.Now().Add(time.Duration(r.shift.Load())) },
	}
	kept, err := keeper.Keep(r.t.Context(), operand.SelfMade(r.config(), r.settings))
	if err != nil {
		r.t.Fatal(err)
	}
	return kept.CAs[operand.Webhook]
}

// secret is the certificate that is kept.
func (r *rig) secret() *corev1.Secret {
	r.t.Helper()
	r.keep()
	var s corev1.Secret
	if err := r.api.Get(r.t.Context(), ctrlclient.ObjectKey{Namespace: r.namespace, Name: "operator-webhook-cert"}, &s); err != nil {
		r.t.Fatal(err)
	}
	return &s
}

// configure puts the rendered configurations into force, with the port that the webhook
// listens on.
func (r *rig) configure() {
	r.t.Helper()
	r.settings.Certificates.WebhookCA = r.keep()
	address, err := url.Parse(r.program.url)
	if err != nil {
		r.t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		r.t.Fatal(err)
	}
	out, _ := operand.Render(r.config(), r.settings)
	for _, o := range out.Of(operand.Webhook).WhenServing {
		switch c := o.(type) {
		case *admissionregistrationv1.MutatingWebhookConfiguration:
			c.Webhooks[0].ClientConfig.Service.Port = new(int32(port))
		case *admissionregistrationv1.ValidatingWebhookConfiguration:
			c.Webhooks[0].ClientConfig.Service.Port = new(int32(port))
		}
		patch, err := operand.Patch(o)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := r.api.Apply(r.t.Context(), ctrlclient.ApplyConfigurationFromUnstructured(patch), ctrlclient.FieldOwner("test"), ctrlclient.ForceOwnership); err != nil {
			r.t.Fatal(err)
		}
	}
}

// await waits until what is looked at has nothing to complain of.
func await(t *testing.T, what string, look func() error) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		err := look()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *rig) policy(name string, edit func(*sriovv1.SriovNetworkNodePolicySpec)) *sriovv1.SriovNetworkNodePolicy {
	p := &sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "vfs", NumVfs: 4, NodeSelector: map[string]string{}, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}},
		},
	}
	if edit != nil {
		edit(&p.Spec)
	}
	return p
}

// try creates an object without storing it.
func (r *rig) try(o ctrlclient.Object) error {
	return r.api.Create(r.t.Context(), o, ctrlclient.DryRunAll)
}

// ready waits until the API server asks the webhook, and the webhook knows the cluster.
func (r *rig) ready() {
	r.t.Helper()
	await(r.t, "the webhook", func() error {
		r.told.taken()
		if err := r.try(r.policy("probe", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.NumVfs = 0 })); err != nil {
			return err
		}
		if got := r.told.taken(); len(got) == 0 || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "spec.numVfs") }) {
			return fmt.Errorf("it warns of %q", got)
		} else if slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "has not read") }) {
			return fmt.Errorf("it says %q", got)
		}
		return nil
	})
}

// TestTheAPIServerAsksTheWebhook is one story: from the first answer to the end.
func TestTheAPIServerAsksTheWebhook(t *testing.T) {
	r := newRig(t)
	r.inhabit()
	r.configure()
	r.ready()
	t.Run("it warns", r.warns)
	t.Run("it refuses", r.refuses)
	t.Run("it mutates", r.mutates)
	t.Run("it reads what its roles say", r.reads)
	t.Run("its certificate is renewed while requests go on", r.renews)
	t.Run("it is down", r.down)
}

// inhabit makes a node with a NIC, and a policy that is strong.
func (r *rig) inhabit() {
	r.t.Helper()
	r.create(&sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "default"}, Spec: sriovv1.SriovOperatorConfigSpec{EnableOperatorWebhook: true}})
	node := r.cluster.CreateNodes(r.t, 1, func(n *corev1.Node) {
		n.Labels[sriovv1.LabelOS], n.Labels[sriovv1.LabelSriovCapable] = sriovv1.LabelOSLinux, sriovv1.LabelSriovCapableTrue
	})[0]
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: node}}
	r.create(state)
	state.Status = sriovv1.SriovNetworkNodeStateStatus{SyncStatus: sriovv1.SyncStatusInProgress, Interfaces: []sriovv1.InterfaceExt{{
		PciAddress: "0000:5f:00.0", Vendor: "15b3", DeviceID: "1017", Driver: "mlx5_core", Name: "ens1f0", TotalVfs: 8, Mtu: 1500, LinkType: "ETH",
	}}}
	if err := r.api.Status().Update(r.t.Context(), state); err != nil {
		r.t.Fatal(err)
	}
	r.create(r.policy("strong", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.Priority, s.ResourceName = new(1), "strong" }))
}

func (r *rig) warns(t *testing.T) {
	for name, test := range map[string]struct {
		object ctrlclient.Object
		want   []string
	}{
		"a policy that loses": {r.policy("p", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.NumVfs = 100 }), []string{
			"spec.numVfs: 100 is more than the 8 VFs that the hardware offers (node-0001 ens1f0); ",
			"spec.nicSelector: VF group 0-99 loses to policy strong: priority 1 is before 99",
		}},
		"a policy for nodes that are not there": {
			r.policy("p", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.NodeSelector = map[string]string{"rack": "9"} }),
			[]string{"spec.nodeSelector: no node matches at present; "},
		},
		"a network of a resource that nobody offers": {
			&sriovv1.SriovNetwork{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "n"}, Spec: sriovv1.SriovNetworkSpec{ResourceName: "misspelt"}},
			[]string{`spec.resourceName: no policy offers the resource "misspelt" at present; `},
		},
		"a pool that waits for ever": {
			&sriovv1.SriovNetworkPoolConfig{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "p"}, Spec: sriovv1.SriovNetworkPoolConfigSpec{MaxUnavailable: new(intstr.FromInt32(0))}},
			[]string{"spec.maxUnavailable: with 0 no node is ever changed; "},
		},
	} {
		r.told.taken()
		if err := r.try(test.object); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := r.told.taken()
		for _, want := range test.want {
			if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, want) }) {
				t.Errorf("%s: warnings %q, want %q", name, got, want)
			}
		}
	}
}

func (r *rig) refuses(t *testing.T) {
	tenant := r.cluster.Namespace(t)
	err := r.try(&sriovv1.SriovNetwork{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "n"}, Spec: sriovv1.SriovNetworkSpec{ResourceName: "vfs", NetworkNamespace: r.namespace},
	})
	want := fmt.Sprintf(".Spec.NetworkNamespace field can't be specified if the resource is not in the %s namespace", r.namespace)
	if reason := string(apierrors.ReasonForError(err)); !strings.Contains(reason, want) {
		t.Errorf("the reason is %q, want %q; error %v", reason, want, err)
	}
	err = r.try(&sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "default"}})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.namespace: only the object in the namespace "+r.namespace+" is read; create it there") {
		t.Errorf("error %v", err)
	}
	config := r.config()
	config.Spec.DisableDrain = true
	err = r.api.Patch(t.Context(), &config, ctrlclient.RawPatch(types.MergePatchType, []byte(`{"spec":{"disableDrain":true}}`)))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.disableDrain: node node-0001 is being changed, and its pods are about to leave; wait until every node has finished") {
		t.Errorf("error %v", err)
	}
}

func (r *rig) mutates(t *testing.T) {
	ib := r.policy("ib", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.LinkType = "ib" })
	plain := r.policy("plain", nil)
	for p, rdma := range map[*sriovv1.SriovNetworkNodePolicy]bool{ib: true, plain: false} {
		if err := r.try(p); err != nil {
			t.Fatal(err)
		}
		if p.Spec.IsRdma != rdma || p.Spec.Priority == nil || *p.Spec.Priority != 99 {
			t.Errorf("%s is stored as %+v", p.Name, p.Spec)
		}
	}
}

// reads compares what the webhook asked for with what its roles let it, right by right.
func (r *rig) reads(t *testing.T) {
	asked := map[string]bool{}
	for key := range r.proxy.Counts() {
		asked[key.Resource+": "+key.Verb] = true
	}
	allowed := map[string]bool{}
	out, _ := operand.Render(r.config(), r.settings)
	for _, o := range out.Of(operand.Webhook).Apply {
		var rules []rbacv1.PolicyRule
		switch role := o.(type) {
		case *rbacv1.Role:
			rules = role.Rules
		case *rbacv1.ClusterRole:
			rules = role.Rules
		}
		for _, rule := range rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					allowed[resource+": "+verb] = true
				}
			}
		}
	}
	// A list may be streamed by a watch; then nobody lists.
	for right := range allowed {
		if resource, ok := strings.CutSuffix(right, ": list"); ok && asked[resource+": watch"] {
			asked[right] = true
		}
	}
	if diff := cmp.Diff(allowed, asked); diff != "" {
		t.Errorf("rights (-given +used):\n%s", diff)
	}
}

// renews renews the certificate in its two steps while clients write as fast as they can.
func (r *rig) renews(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	var written atomic.Int64
	for i := range 3 {
		writers.Go(func() {
			for ctx.Err() == nil {
				if err := r.api.Create(ctx, r.policy(fmt.Sprintf("busy-%d", i), nil), ctrlclient.DryRunAll); err != nil && ctx.Err() == nil {
					t.Errorf("request %d is lost: %v", written.Load(), err)
					return
				}
				written.Add(1)
			}
		})
	}
	more := func() {
		t.Helper()
		until := written.Load() + 60
		await(t, "requests", func() error {
			if got := written.Load(); got < until {
				return fmt.Errorf("%d of %d", got, until)
			}
			return nil
		})
	}
	more()
	before := r.secret() // the certificate is 300 days old only now
	r.shift.Store(0)
	waiting := r.secret()
	if len(waiting.Data["next.crt"]) == 0 || string(waiting.Data["tls.crt"]) != string(before.Data["tls.crt"]) {
		t.Error("the first step did not happen")
	}
	r.shift.Store(int64(2 * time.Hour))
	if early := r.secret(); string(early.Data["tls.crt"]) != string(before.Data["tls.crt"]) {
		t.Error("the certificate is exchanged before the API server trusts it")
	}
	r.configure()
	more()
	after := r.secret()
	if string(after.Data["tls.crt"]) != string(waiting.Data["next.crt"]) {
		t.Error("the certificate is not exchanged")
	}
	r.mounted.replace(after)
	newest, _ := pem.Decode(after.Data["ca.crt"])
	onlyNew := after.DeepCopy()
	onlyNew.Data["ca.crt"] = pem.EncodeToMemory(newest)
	trusting := client(onlyNew, "operator-webhook-service."+r.namespace+".svc")
	await(t, "the new certificate", func() error { _, err := r.program.get(trusting, "/readyz"); return err })
	more()
	r.configure()
	more()
	stop()
	writers.Wait()
	t.Logf("%d requests while the certificate was renewed", written.Load())
}

// down ends the webhook: who changes specs hears why nothing goes, and nobody else is
// held up.
func (r *rig) down(t *testing.T) {
	r.program.stop()
	if err := <-r.program.done; err != nil {
		t.Fatal(err)
	}
	if err := r.try(r.policy("p", nil)); err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Errorf("a person who makes a policy: error %v", err)
	}
	var strong sriovv1.SriovNetworkNodePolicy
	key := ctrlclient.ObjectKey{Namespace: r.namespace, Name: "strong"}
	if err := r.api.Get(t.Context(), key, &strong); err != nil {
		t.Fatal(err)
	}
	operator := r.client(r.cluster.User("system:serviceaccount:"+r.namespace+":sriov-network-operator", []string{"system:masters"}, nil))
	config := r.config()
	for what, err := range map[string]error{
		"the operator writes a policy": operator.Create(t.Context(), r.policy("p", nil), ctrlclient.DryRunAll),
		"a person labels a policy":     r.api.Patch(t.Context(), strong.DeepCopy(), ctrlclient.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`))),
		"a status is written":          r.api.Status().Patch(t.Context(), strong.DeepCopy(), ctrlclient.RawPatch(types.MergePatchType, []byte(`{"status":{"conditions":[]}}`))),
		"a person deletes a policy":    r.api.Delete(t.Context(), strong.DeepCopy()),
		"a person turns the webhook off": r.api.Patch(t.Context(), &config,
			ctrlclient.RawPatch(types.MergePatchType, []byte(`{"spec":{"enableOperatorWebhook":false}}`))),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
