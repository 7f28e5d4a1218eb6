// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/install"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

const (
	root      = "../.."
	folder    = root + "/charts/sriov-network-operator"
	namespace = "somewhere"
)

// render is what the chart makes of values, by kind and name.
func render(t *testing.T, values map[string]any) (map[string]map[string]any, error) {
	t.Helper()
	c, err := loader.LoadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{Name: "sriov", Namespace: namespace}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]any{}
	for name, text := range files {
		if strings.HasSuffix(name, ".tpl") {
			continue
		}
		for document := range strings.SplitSeq(text, "\n---\n") {
			var object map[string]any
			if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			if len(object) > 0 {
				u := unstructured.Unstructured{Object: object}
				out[u.GetKind()+"/"+u.GetName()] = object
			}
		}
	}
	return out, nil
}

// installed is what deploy installs into the namespace, by kind and name.
func installed(t *testing.T) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, o := range slices.Concat(install.Accounts(namespace), install.Workload(), []operand.Object{install.Config()}) {
		ref := operand.RefOf(o)
		if !strings.HasPrefix(ref.Kind, "ClusterRole") {
			o.SetNamespace(namespace)
		}
		patch, err := operand.Patch(o)
		if err != nil {
			t.Fatal(err)
		}
		// Both go through text, so that numbers are of one type.
		text, err := yaml.Marshal(patch.Object)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := yaml.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		prune(object)
		out[ref.Kind+"/"+ref.Name] = object
	}
	return out
}

// prune removes maps that are empty: they say nothing.
func prune(object map[string]any) {
	for key, value := range object {
		if inner, ok := value.(map[string]any); ok {
			prune(inner)
			if len(inner) == 0 {
				delete(object, key)
			}
		}
	}
}

func TestTheChartInstallsWhatDeployInstalls(t *testing.T) {
	got, err := render(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	// It runs before an uninstallation, and is gone afterwards.
	delete(got, "Job/"+install.Name+"-cleanup")
	if diff := cmp.Diff(installed(t), got); diff != "" {
		t.Errorf("installed (-deploy +chart):\n%s", diff)
	}
}

// everyValue sets each value to something that is not its default.
func everyValue() map[string]any {
	return map[string]any{
		"replicas": 3, "imagePullSecrets": []any{"one", "two"}, "clusterType": "openshift", "resourcePrefix": "mellanox.com",
		"cniBinDir": "/var/lib/cni/bin", "kubeletDir": "/var/lib/k0s/kubelet", "externalDrainer": true, "devMode": true, "certManager": true,
		"metrics":        map[string]any{"port": 9999, "daemonPort": 9998, "rules": true, "prometheusServiceAccount": "p", "prometheusNamespace": "m"},
		"tls":            map[string]any{"cipherSuites": "a", "minVersion": "VersionTLS13", "curvePreferences": "X25519"},
		"images":         map[string]any{"ovsCNI": "ovs", "rdmaCNI": "rdma"},
		"operatorConfig": map[string]any{"spec": map[string]any{"enableInjector": true}},
	}
}

func TestTheOperatorReadsEveryVariableThatTheChartSets(t *testing.T) {
	got, err := render(t, everyValue())
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got["Deployment/"+install.Name], &d); err != nil {
		t.Fatal(err)
	}
	var source []byte
	sources, err := filepath.Glob(root + "/cmd/sriov-network-operator/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	env := map[string]string{}
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = e.Value
		if !strings.Contains(string(source), `"`+e.Name+`"`) {
			t.Errorf("the operator does not read %s", e.Name)
		}
	}
	want := map[string]string{
		"CLUSTER_TYPE": "openshift", "RESOURCE_PREFIX": "mellanox.com", "METRICS_EXPORTER_PORT": "9999", "IMAGE_PULL_SECRETS": "one,two",
		"USE_EXTERNAL_DRAINER": "true", "CONFIG_DAEMON_METRICS_PORT": "9998", "OVS_CNI_IMAGE": "ovs", "TLS_MIN_VERSION": "VersionTLS13", "KUBELET_ROOT_DIR": "/var/lib/k0s/kubelet",
	}
	for name, value := range want {
		if env[name] != value {
			t.Errorf("%s is %q, want %q", name, env[name], value)
		}
	}
	// What the templates can set is what they set here.
	text, err := os.ReadFile(folder + "/templates/operator.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\(list "([A-Z_]+)"`).FindAllStringSubmatch(string(text), -1) {
		if _, ok := env[m[1]]; !ok {
			t.Errorf("no value of the test sets %s", m[1])
		}
	}
	spec, _, err := unstructured.NestedMap(got["SriovOperatorConfig/default"], "spec")
	if err != nil || !maps.Equal(spec, map[string]any{"enableInjector": true}) {
		t.Errorf("the operator configuration has %v, %v", spec, err)
	}
}

func TestCertManagerIsAskedForTheCertificatesThatTheOperatorNames(t *testing.T) {
	got, err := render(t, map[string]any{"certManager": true})
	if err != nil {
		t.Fatal(err)
	}
	if spec, _, _ := unstructured.NestedMap(got["Issuer/"+install.Name], "spec"); !cmp.Equal(spec, map[string]any{"selfSigned": map[string]any{}}) {
		t.Errorf("the issuer has %v", spec)
	}
	// What the operator makes by itself is what others have to make in its place.
	var config sriovv1.SriovOperatorConfig
	config.Spec = sriovv1.SriovOperatorConfigSpec{
		EnableInjector: true, EnableOperatorWebhook: true, FeatureGates: map[string]bool{sriovv1.FeatureMetricsExporter: true},
	}
	wanted := operand.SelfMade(config, operand.Settings{Namespace: namespace})
	for _, c := range wanted {
		object := got["Certificate/"+c.Secret.Name]
		secret, _, _ := unstructured.NestedString(object, "spec", "secretName")
		names, _, _ := unstructured.NestedStringSlice(object, "spec", "dnsNames")
		issuer, _, _ := unstructured.NestedStringMap(object, "spec", "issuerRef")
		if secret != c.Secret.Name || !slices.Equal(names, c.DNSNames) {
			t.Errorf("Secret %s gets %v, want %s for %v", secret, names, c.Secret.Name, c.DNSNames)
		}
		if want := map[string]string{"group": "cert-manager.io", "kind": "Issuer", "name": install.Name}; !maps.Equal(issuer, want) {
			t.Errorf("%s is signed by %v, want %v", c.Secret.Name, issuer, want)
		}
	}
	if len(wanted) != 3 {
		t.Errorf("the operator names %d certificates, want 3", len(wanted))
	}
}

func TestTheIssuerOfCertificatesCanBeAnother(t *testing.T) {
	got, err := render(t, map[string]any{"certManager": true, "certManagerIssuer": map[string]any{"name": "corporate", "kind": "ClusterIssuer"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got["Issuer/"+install.Name]; ok {
		t.Error("an issuer is made all the same")
	}
	issuer, _, _ := unstructured.NestedStringMap(got["Certificate/operator-webhook-cert"], "spec", "issuerRef")
	if issuer["name"] != "corporate" || issuer["kind"] != "ClusterIssuer" {
		t.Errorf("the certificate is signed by %v", issuer)
	}
}

func TestTheOperatorConfigurationGoesBeforeTheOperator(t *testing.T) {
	got, err := render(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	var job batchv1.Job
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got["Job/"+install.Name+"-cleanup"], &job); err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	if job.Annotations["helm.sh/hook"] != "pre-delete" || pod.ServiceAccountName != install.Name || !slices.Equal(pod.Containers[0].Command, []string{install.Name, "cleanup"}) {
		t.Errorf("before an uninstallation %v runs %v as %q", job.Annotations, pod.Containers[0].Command, pod.ServiceAccountName)
	}
}

func TestTheOperatorConfigurationCanBeLeftToOthers(t *testing.T) {
	got, err := render(t, map[string]any{"operatorConfig": map[string]any{"create": false}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got["SriovOperatorConfig/default"]; ok {
		t.Error("it is made all the same")
	}
}

func TestValuesThatAreNotKnownAreRefused(t *testing.T) {
	for _, values := range []map[string]any{
		{"replicaz": 2}, {"replicas": 0}, {"clusterType": "nomad"}, {"images": map[string]any{"daemon": "x"}}, {"cniBinDir": "opt/cni"},
	} {
		if _, err := render(t, values); err == nil {
			t.Errorf("%v is accepted", values)
		}
	}
}
