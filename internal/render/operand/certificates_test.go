// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

func TestTheOperatorMakesACertificateForEachServerThatIsDeployed(t *testing.T) {
	exporter := sriovv1.SriovOperatorConfigSpec{FeatureGates: map[string]bool{"metricsExporter": true}}
	tests := map[string]struct {
		spec   sriovv1.SriovOperatorConfigSpec
		source operand.CertificateSource
		want   []string
	}{
		"everything": {spec: everything(), want: []string{
			"network-resources-injector-cert for network-resources-injector-service.sriov-network-operator.svc",
			"metrics-exporter-cert for sriov-network-metrics-exporter-service.sriov-network-operator.svc",
			"operator-webhook-cert for operator-webhook-service.sriov-network-operator.svc",
		}},
		"nothing":               {},
		"the exporter alone":    {spec: exporter, want: []string{"metrics-exporter-cert for sriov-network-metrics-exporter-service.sriov-network-operator.svc"}},
		"cert-manager does":     {spec: everything(), source: operand.CertManager},
		"OpenShift's signer":    {spec: everything(), source: operand.ServiceCA},
		"the webhook is wanted": {spec: sriovv1.SriovOperatorConfigSpec{EnableOperatorWebhook: true}, want: []string{"operator-webhook-cert for operator-webhook-service.sriov-network-operator.svc"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := settings()
			s.Certificates.Source = test.source
			var got []string
			for _, c := range operand.SelfMade(config(test.spec), s) {
				got = append(got, c.Secret.Name+" for "+c.DNSNames[0])
				if !operand.Ours(c.Secret) || len(c.Secret.OwnerReferences) != 1 || c.Secret.Namespace != s.Namespace {
					t.Errorf("the Secret %+v will not go with the operator", c.Secret.ObjectMeta)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestACertificateIsWhatItsServerShowsAndItsClientsTrust compares certificates with what
// is rendered: Services, mounted Secrets and webhook configurations.
func TestACertificateIsWhatItsServerShowsAndItsClientsTrust(t *testing.T) {
	s := settings()
	out, _ := operand.Render(config(everything()), s)
	for _, c := range operand.SelfMade(config(everything()), s) {
		d := out.Of(c.Group)
		var services, trusts []string
		for _, o := range slices.Concat(d.Apply, d.WhenServing) {
			switch o := o.(type) {
			case *corev1.Service:
				if o.Name == "sriov-network-config-daemon-metrics" {
					continue // its monitor asks for the exporter's name, see below
				}
				services = append(services, o.Name+"."+o.Namespace+".svc")
			case *unstructured.Unstructured:
				checkMonitor(t, c, o)
			case *admissionv1.ValidatingWebhookConfiguration, *admissionv1.MutatingWebhookConfiguration:
				trusts = append(trusts, operand.RefOf(o).String())
			case *appsv1.DaemonSet:
				checkMount(t, c, o.Spec.Template.Spec.Volumes)
			}
		}
		if !slices.Equal(services, c.DNSNames[:1]) {
			t.Errorf("%s is for %q, and the services are %q", c.Secret.Name, c.DNSNames, services)
		}
		var want []string
		for _, ref := range c.TrustedBy {
			want = append(want, ref.String())
		}
		slices.Sort(want)
		slices.Sort(trusts)
		if !slices.Equal(want, trusts) {
			t.Errorf("%s is trusted by %q, and the configurations are %q", c.Secret.Name, want, trusts)
		}
	}
}

// checkMonitor wants Prometheus to verify the name that the certificate is for.
func checkMonitor(t *testing.T, c operand.Certificate, o *unstructured.Unstructured) {
	t.Helper()
	endpoints, _, err := unstructured.NestedSlice(o.Object, "spec", "endpoints")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range endpoints {
		if name, _, err := unstructured.NestedString(e.(map[string]any), "tlsConfig", "serverName"); err != nil || name != c.DNSNames[0] {
			t.Errorf("%s verifies %q (%v), and the certificate is for %q", o.GetName(), name, err, c.DNSNames)
		}
	}
}

// checkMount wants the Secret mounted with nothing but the certificate that is shown.
func checkMount(t *testing.T, c operand.Certificate, volumes []corev1.Volume) {
	t.Helper()
	for _, v := range volumes {
		if v.Secret == nil || v.Secret.SecretName != c.Secret.Name {
			continue
		}
		var keys []string
		for _, item := range v.Secret.Items {
			keys = append(keys, item.Key)
		}
		if got := strings.Join(keys, " "); got != "tls.crt tls.key" {
			t.Errorf("%s is mounted with %q", c.Secret.Name, got)
		}
		return
	}
	t.Errorf("no pod of the %s mounts %s", c.Group, c.Secret.Name)
}
