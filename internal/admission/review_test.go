// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/admission"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

const namespace = "kube-system"

// request asks about an object that replaces another, or that is new when before is nil.
func request(tb testing.TB, kind string, object, before any) *admissionv1.AdmissionRequest {
	tb.Helper()
	r := &admissionv1.AdmissionRequest{
		UID: "1", Kind: metav1.GroupVersionKind{Group: sriovv1.GroupName, Version: "v1", Kind: kind},
		Operation: admissionv1.Create, Object: raw(tb, object),
	}
	if m, ok := object.(metav1.Object); ok {
		r.Name, r.Namespace = m.GetName(), m.GetNamespace()
	}
	if before != nil {
		r.Operation, r.OldObject = admissionv1.Update, raw(tb, before)
	}
	return r
}

func raw(tb testing.TB, object any) runtime.RawExtension {
	tb.Helper()
	if text, ok := object.(string); ok {
		return runtime.RawExtension{Raw: []byte(text)}
	}
	out, err := json.Marshal(object)
	if err != nil {
		tb.Fatal(err)
	}
	return runtime.RawExtension{Raw: out}
}

// policy is one that can be, for the PF ens1f0.
func policy(name string, edit func(*sriovv1.SriovNetworkNodePolicySpec)) *sriovv1.SriovNetworkNodePolicy {
	p := &sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "vfs", NumVfs: 4, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}},
		},
	}
	if edit != nil {
		edit(&p.Spec)
	}
	return p
}

// cluster is one with a node that has one ConnectX-5, as policies ask.
func cluster(policies ...sriovv1.SriovNetworkNodePolicy) admission.Objects {
	state := admission.NewState(&sriovv1.SriovNetworkNodeState{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"},
		Spec: sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{
			PciAddress: "0000:5f:00.0", NumVfs: 1, VfGroups: []sriovv1.VfGroup{{ResourceName: "claimed", VfRange: "0-0"}},
		}}},
		Status: sriovv1.SriovNetworkNodeStateStatus{SyncStatus: sriovv1.SyncStatusInProgress, Interfaces: []sriovv1.InterfaceExt{{
			PciAddress: "0000:5f:00.0", Vendor: "15b3", DeviceID: "1017", Driver: "mlx5_core", Name: "ens1f0", TotalVfs: 8, Mtu: 1500, LinkType: "ETH",
		}}},
	})
	return admission.Objects{
		Objects: fleet.Objects{Policies: policies},
		Nodes: []admission.Node{{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{
			sriovv1.LabelOS: sriovv1.LabelOSLinux, sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue,
		}}}},
		States: []admission.State{state},
	}
}

func known(o admission.Objects) admission.Knowledge {
	return admission.Knowledge{Facts: admission.Know(namespace, o)}
}

// verdict is an answer in lines.
func verdict(a *admissionv1.AdmissionResponse) string {
	lines := []string{"allowed"}
	if !a.Allowed {
		lines = []string{fmt.Sprintf("refused %d", a.Result.Code)}
		lines = append(lines, strings.Split(a.Result.Message, "\n")...)
	}
	for _, w := range a.Warnings {
		lines = append(lines, "warning: "+w)
	}
	return strings.Join(lines, "\n")
}

func TestObjectsThatCanNeverWorkAreRefusedAndTheRestIsAWarning(t *testing.T) {
	type spec = sriovv1.SriovNetworkNodePolicySpec
	other := *policy("other", func(s *spec) { s.Priority, s.ResourceName = new(10), "theirs" })
	claims := cluster()
	claims.ConfigMaps = []corev1.ConfigMap{{
		ObjectMeta: metav1.ObjectMeta{Name: sriovv1.ConfigMapSriovConfig},
		Data:       map[string]string{"a": "interfaces: [{nicName: ens1f0, nicType: ConnectX-5, numVfs: 2, priority: 1, resourceName: claimed}]"},
	}}
	offload := &sriovv1.SriovNetworkPoolConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pool"},
		Spec: sriovv1.SriovNetworkPoolConfigSpec{
			NodeSelector: &metav1.LabelSelector{}, OvsHardwareOffloadConfig: sriovv1.OvsHardwareOffloadConfig{Name: "worker"},
		},
	}
	settings := func(drain bool, name string) *sriovv1.SriovOperatorConfig {
		return &sriovv1.SriovOperatorConfig{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: sriovv1.SriovOperatorConfigSpec{DisableDrain: drain},
		}
	}
	ethernet := func(edit func(*sriovv1.SriovNetwork)) *sriovv1.SriovNetwork {
		n := &sriovv1.SriovNetwork{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "net"}, Spec: sriovv1.SriovNetworkSpec{ResourceName: "claimed"}}
		edit(n)
		return n
	}
	tests := map[string]struct {
		kind           string
		object, before any
		known          admission.Objects
		want           []string
	}{
		"a policy that is right": {"SriovNetworkNodePolicy", policy("p", nil), nil, cluster(), []string{"allowed"}},
		"a policy for nodes and NICs that are not there yet": {
			"SriovNetworkNodePolicy", policy("p", func(s *spec) { s.NodeSelector = map[string]string{"rack": "9"} }), nil, cluster(),
			[]string{"allowed", "warning: spec.nodeSelector: no node matches at present"},
		},
		"more VFs than the hardware offers": {
			"SriovNetworkNodePolicy", policy("p", func(s *spec) { s.NumVfs = 100 }), nil, cluster(),
			[]string{"allowed", "warning: spec.numVfs: 100 is more than the 8 VFs that the hardware offers (a ens1f0)"},
		},
		"a policy that loses": {
			"SriovNetworkNodePolicy", policy("p", nil), nil, cluster(other),
			[]string{"allowed", "warning: spec.nicSelector: VF group 0-3 loses to policy other: priority 10 is before 99 (a ens1f0"},
		},
		"a policy of before is not one more": {"SriovNetworkNodePolicy", policy("p", nil), policy("p", nil), cluster(*policy("p", nil)), []string{"allowed"}},
		"a range that ends past the last VF": {
			"SriovNetworkNodePolicy", policy("p", func(s *spec) { s.NicSelector.PfNames = []string{"ens1f0#2-9"} }), nil, cluster(),
			[]string{"refused 422", "spec.nicSelector.pfNames[0]: "},
		},
		"two faults and a warning": {
			"SriovNetworkNodePolicy", policy("p", func(s *spec) {
				s.NicSelector = sriovv1.SriovNetworkNicSelector{}
				s.DeviceType, s.IsRdma, s.NumVfs = sriovv1.DeviceTypeVfioPci, true, 0
			}), nil, cluster(),
			[]string{"refused 422", "spec.isRdma: ", "spec.nicSelector: it is empty", "warning: spec.numVfs: a policy that asks for 0 VFs"},
		},
		"the policy default, whatever it says": {
			"SriovNetworkNodePolicy", policy("default", func(s *spec) { s.ResourceName = "" }), nil, cluster(),
			[]string{"allowed", "warning: metadata.name: a policy named default is always skipped"},
		},
		"a policy of another namespace": {
			"SriovNetworkNodePolicy", `{"metadata":{"name":"p","namespace":"team"},"spec":{"resourceName":"vfs","numVfs":1,"nicSelector":{"vendor":"15b3"}}}`, nil, admission.Objects{},
			[]string{"allowed", "warning: metadata.namespace: only policies in the namespace kube-system count"},
		},
		"a claim that stands before": {
			"SriovNetworkNodePolicy", policy("p", nil), nil, claims,
			[]string{"allowed", "warning: spec.nicSelector: VF group 0-3 loses to policy sriov-configmap/a/ens1f0: priority 1 is before 99",
				"warning: spec.numVfs: numVfs 4 loses to policy sriov-configmap/a/ens1f0"},
		},
		"a pool with offload and a selector": {
			"SriovNetworkPoolConfig", offload, nil, cluster(), []string{"refused 422", "spec.nodeSelector: a pool with ovsHardwareOffloadConfig"},
		},
		"settings of another name":       {"SriovOperatorConfig", settings(false, "mine"), nil, cluster(), []string{"refused 422", "metadata.name: only the object named default is read"}},
		"no draining while a node moves": {"SriovOperatorConfig", settings(true, "default"), settings(false, "default"), cluster(), []string{"refused 422", "spec.disableDrain: node a is being changed"}},
		"no draining any longer":         {"SriovOperatorConfig", settings(true, "default"), settings(true, "default"), cluster(), []string{"allowed", "warning: spec.disableDrain: "}},
		"a network that reaches out of its namespace": {
			"SriovNetwork", ethernet(func(n *sriovv1.SriovNetwork) { n.Spec.NetworkNamespace = "other" }), nil, cluster(),
			[]string{"refused 422", "spec.networkNamespace: .Spec.NetworkNamespace field can't be specified if the resource is not in the kube-system namespace"},
		},
		"a network that is no JSON": {
			"SriovNetwork", ethernet(func(n *sriovv1.SriovNetwork) { n.Spec.IPAM = "{" }), nil, cluster(), []string{"refused 422", "spec.ipam: "},
		},
		"a network of a resource that a node offers": {"SriovNetwork", ethernet(func(*sriovv1.SriovNetwork) {}), nil, cluster(other), []string{"allowed"}},
		"a network of a resource that nobody offers": {
			"SriovNetwork", ethernet(func(n *sriovv1.SriovNetwork) { n.Spec.ResourceName = "misspelt" }), nil, cluster(other),
			[]string{"allowed", `warning: spec.resourceName: no policy offers the resource "misspelt" at present`},
		},
		"an InfiniBand network": {"SriovIBNetwork", `{"metadata":{"name":"n","namespace":"team"},"spec":{}}`, nil, cluster(), []string{"refused 422", "spec.resourceName: it is empty"}},
		"an OVS network":        {"OVSNetwork", `{"metadata":{"name":"n","namespace":"team"},"spec":{"resourceName":"vfs","vlan":5000}}`, nil, cluster(), []string{"refused 422", "spec.vlan: 5000 is out of range"}},
		"something unreadable":  {"OVSNetwork", `{"spec":{"vlan":"x"}}`, nil, cluster(), []string{"refused 400", "read the object: "}},
		"another kind of ours":  {"SriovNetworkNodeState", `{}`, nil, cluster(), []string{"allowed"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := strings.Split(verdict(admission.Validate(request(t, test.kind, test.object, test.before), known(test.known))), "\n")
			if len(got) != len(test.want) {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			for i := range got {
				if !strings.HasPrefix(got[i], test.want[i]) {
					t.Errorf("got\n%s\nwant\n%s", got[i], test.want[i])
				}
			}
		})
	}
}

func TestARefusalIsReadByPeopleAndBySoftware(t *testing.T) {
	p := policy("p", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.NicSelector = sriovv1.SriovNetworkNicSelector{} })
	got := admission.Validate(request(t, "SriovNetworkNodePolicy", p, nil), admission.Knowledge{}).Result
	want := &metav1.Status{
		Status: "Failure", Code: 422, Reason: "Invalid", Message: "spec.nicSelector: it is empty and so selects nothing; set vendor, deviceID, rootDevices, pfNames or netFilter",
		Details: &metav1.StatusDetails{Name: "p", Group: sriovv1.GroupName, Kind: "SriovNetworkNodePolicy", Causes: []metav1.StatusCause{{
			Type: metav1.CauseTypeFieldValueInvalid, Field: "spec.nicSelector",
			Message: "it is empty and so selects nothing; set vendor, deviceID, rootDevices, pfNames or netFilter",
		}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	n := `{"metadata":{"name":"n","namespace":"team"},"spec":{"resourceName":"vfs","networkNamespace":"x"}}`
	k := admission.Knowledge{}
	k.Facts.Namespace = namespace
	reason := admission.Validate(request(t, "SriovNetwork", n, nil), k).Result.Reason
	if !strings.Contains(string(reason), ".Spec.NetworkNamespace field can't be specified if the resource is not in the kube-system namespace") {
		t.Errorf("the reason is %q", reason)
	}
}

func TestAWebhookThatHasNotReadEverythingSaysSoAndRefusesOnlyWhatCanNeverWork(t *testing.T) {
	k := admission.Knowledge{Unknown: []string{"nodes", "policies"}}
	k.Facts.Namespace = namespace
	got := verdict(admission.Validate(request(t, "SriovNetworkNodePolicy", policy("p", nil), nil), k))
	want := "allowed\nwarning: only the object itself was checked: the webhook has not read all nodes, policies yet; kubectl sriov validate checks it against them"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDevelopersMayConfigureAnyNIC(t *testing.T) {
	p := policy("p", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.NicSelector.Vendor = "dead" })
	k := known(cluster())
	if got := verdict(admission.Validate(request(t, "SriovNetworkNodePolicy", p, nil), k)); !strings.Contains(got, "list of supported NICs") {
		t.Errorf("got %s", got)
	}
	k.AllowUnlisted = true
	if got := verdict(admission.Validate(request(t, "SriovNetworkNodePolicy", p, nil), k)); strings.Contains(got, "list of supported NICs") {
		t.Errorf("got %s", got)
	}
}

// TestManyWarningsAreToldInFull: the API server cuts every warning to 256 bytes once all
// of them have more than 4096.
func TestManyWarningsAreToldInFull(t *testing.T) {
	var others []sriovv1.SriovNetworkNodePolicy
	for i := range 100 {
		others = append(others, *policy(fmt.Sprintf("other-%d", i), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.ExcludeTopology = true }))
	}
	got := admission.Validate(request(t, "SriovNetworkNodePolicy", policy("p", nil), nil), known(cluster(others...))).Warnings
	size := 0
	for _, w := range got {
		size += len(w)
	}
	if last := got[len(got)-1]; size > 4096 || !strings.HasSuffix(last, "more; kubectl sriov validate shows all") {
		t.Errorf("%d bytes, and the last is %q", size, last)
	}
}

func TestFactsDoNotDependOnTheOrderOfObjects(t *testing.T) {
	o := cluster()
	o.Nodes = append(o.Nodes, admission.Node{ObjectMeta: metav1.ObjectMeta{Name: "b"}}, admission.Node{ObjectMeta: metav1.ObjectMeta{Name: "0"}})
	var names []string
	for _, n := range admission.Know(namespace, o).Nodes {
		names = append(names, n.Name)
	}
	if diff := cmp.Diff([]string{"0", "a", "b"}, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOnlyWhatTheSchemaCannotDoIsMutated(t *testing.T) {
	const set = `[{"op":"add","path":"/spec/isRdma","value":true}]`
	for name, test := range map[string]struct{ name, kind, object, want string }{
		"InfiniBand":                  {"p", "SriovNetworkNodePolicy", `{"spec":{"linkType":"ib"}}`, set},
		"InfiniBand, in capitals":     {"p", "SriovNetworkNodePolicy", `{"spec":{"linkType":"IB","isRdma":false}}`, set},
		"it is an RDMA device anyhow": {"p", "SriovNetworkNodePolicy", `{"spec":{"linkType":"IB","isRdma":true}}`, ""},
		"for userspace":               {"p", "SriovNetworkNodePolicy", `{"spec":{"linkType":"ib","deviceType":"vfio-pci"}}`, ""},
		"Ethernet":                    {"p", "SriovNetworkNodePolicy", `{"spec":{"linkType":"eth"}}`, ""},
		"defaults are the schema's":   {"p", "SriovNetworkNodePolicy", `{"spec":{}}`, ""},
		"no spec":                     {"p", "SriovNetworkNodePolicy", `{}`, ""},
		"unreadable":                  {"p", "SriovNetworkNodePolicy", `{"spec":{"linkType":"ib","numVfs":"x"}}`, ""},
		"the policy default":          {"default", "SriovNetworkNodePolicy", `{"spec":{"linkType":"ib"}}`, ""},
		"another kind":                {"p", "OVSNetwork", `{"spec":{"linkType":"ib"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, test.kind, test.object, nil)
			r.Name = test.name
			a := admission.Mutate(r)
			if !a.Allowed || string(a.Patch) != test.want || (a.PatchType != nil) != (test.want != "") {
				t.Errorf("allowed %t, patch %q, want %q", a.Allowed, a.Patch, test.want)
			}
		})
	}
}

// ask sends a body and returns the answer.
func ask(tb testing.TB, h http.Handler, path, body string) (int, *admissionv1.AdmissionReview) {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(tb.Context(), http.MethodPost, path, strings.NewReader(body)))
	var out admissionv1.AdmissionReview
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			tb.Fatal(err)
		}
	}
	return w.Code, &out
}

func review(tb testing.TB, r *admissionv1.AdmissionRequest) string {
	tb.Helper()
	out, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: r,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestTheHandlerAnswersWhereTheConfigurationsAsk(t *testing.T) {
	h := admission.Handler(func() admission.Knowledge { return admission.Knowledge{} }, quiet())
	config := sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{EnableOperatorWebhook: true}}
	out, _ := operand.Render(config, operand.Settings{
		Images: operand.Images{Webhook: "i"}, Certificates: operand.Certificates{WebhookCA: []byte("x")},
	})
	paths := 0
	for _, o := range out.Of(operand.Webhook).WhenServing {
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var hooks struct {
			Webhooks []struct {
				ClientConfig struct{ Service struct{ Path string } }
			}
		}
		if err := json.Unmarshal(raw, &hooks); err != nil {
			t.Fatal(err)
		}
		for _, hook := range hooks.Webhooks {
			paths++
			code, got := ask(t, h, hook.ClientConfig.Service.Path, review(t, request(t, "SriovNetworkNodePolicy", policy("p", nil), nil)))
			if code != http.StatusOK || got.Response == nil || !got.Response.Allowed || got.Response.UID != types.UID("1") || got.Kind != "AdmissionReview" {
				t.Errorf("%s answers %d %+v", hook.ClientConfig.Service.Path, code, got)
			}
		}
	}
	if paths != 2 {
		t.Errorf("%d paths", paths)
	}
}

func TestRequestsThatAreNoneAreRefused(t *testing.T) {
	h := admission.Handler(func() admission.Knowledge { return admission.Knowledge{} }, quiet())
	for name, body := range map[string]string{
		"nothing":           "",
		"no JSON":           "{",
		"another kind":      `{"apiVersion":"v1","kind":"Pod"}`,
		"an older version":  `{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{}}`,
		"no request":        `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`,
		"more than is read": `{"apiVersion":"` + strings.Repeat("x", 9<<20) + `"}`,
	} {
		if code, _ := ask(t, h, admission.PathValidate, body); code != http.StatusBadRequest {
			t.Errorf("%s: %d", name, code)
		}
	}
}

func TestAFaultOfTheWebhookRefusesNobody(t *testing.T) {
	h := admission.Handler(func() admission.Knowledge { panic("a fault") }, quiet())
	code, got := ask(t, h, admission.PathValidate, review(t, request(t, "SriovNetworkNodePolicy", policy("p", nil), nil)))
	if code != http.StatusOK || !got.Response.Allowed || len(got.Response.Warnings) != 1 || !strings.Contains(got.Response.Warnings[0], "a fault") {
		t.Errorf("%d %+v", code, got.Response)
	}
}

// TestRequestsThatComeTogetherDoNotMix: W19.
func TestRequestsThatComeTogetherDoNotMix(t *testing.T) {
	k := known(cluster())
	h := admission.Handler(func() admission.Knowledge { return k }, quiet())
	good := review(t, request(t, "SriovNetworkNodePolicy", policy("good", nil), nil))
	bad := review(t, request(t, "SriovNetworkNodePolicy", policy("bad", func(s *sriovv1.SriovNetworkNodePolicySpec) { s.ResourceName = "" }), nil))
	var all sync.WaitGroup
	for i := range 8 {
		body, want := good, true
		if i%2 == 0 {
			body, want = bad, false
		}
		all.Go(func() {
			for range 100 {
				if _, got := ask(t, h, admission.PathValidate, body); got.Response.Allowed != want {
					t.Errorf("allowed %t, want %t", got.Response.Allowed, want)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkPolicyAt5000Nodes(b *testing.B) {
	o := cluster()
	for i := range 5000 {
		n, s := o.Nodes[0], o.States[0]
		n.Name = fmt.Sprintf("node-%04d", i)
		s.Name = n.Name
		o.Nodes, o.States = append(o.Nodes, n), append(o.States, s)
	}
	for i := range 20 {
		o.Policies = append(o.Policies, *policy(fmt.Sprintf("p-%d", i), func(s *sriovv1.SriovNetworkNodePolicySpec) { s.Priority = new(i) }))
	}
	r := request(b, "SriovNetworkNodePolicy", policy("p", nil), nil)
	for b.Loop() {
		if !admission.Validate(r, known(o)).Allowed {
			b.Fatal("refused")
		}
	}
}
