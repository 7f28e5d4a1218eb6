// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

var update = flag.Bool("update", false, "write what is rendered now into testdata")

// config is the operator configuration with this spec.
func config(spec sriovv1.SriovOperatorConfigSpec) sriovv1.SriovOperatorConfig {
	return sriovv1.SriovOperatorConfig{
		ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "sriov-network-operator", UID: "6f0c9a52-0000-4000-8000-000000000001"},
		Spec:       spec,
	}
}

// settings are those of a cluster with everything.
func settings() operand.Settings {
	return operand.Settings{
		Namespace: "sriov-network-operator",
		Images: operand.Images{
			ConfigDaemon: "registry.example/daemon:1", DevicePlugin: "registry.example/plugin:1", Injector: "registry.example/injector:1",
			Webhook: "registry.example/webhook:1", Exporter: "registry.example/exporter:1", RBACProxy: "registry.example/proxy:1",
			SriovCNI: "registry.example/sriov-cni:1", IBCNI: "registry.example/ib-cni:1",
			OVSCNI: "registry.example/ovs-cni:1", RDMACNI: "registry.example/rdma-cni:1",
		},
		Kinds: operand.Kinds{
			NetworkAttachmentDefinition: true, ServiceMonitor: true, PrometheusRule: true, Certificate: true, ValidatingAdmissionPolicy: true,
		},
		Certificates: operand.Certificates{WebhookCA: []byte("webhook CA"), InjectorCA: []byte("injector CA")},
	}
}

// everything turns every switch on.
func everything() sriovv1.SriovOperatorConfigSpec {
	return sriovv1.SriovOperatorConfigSpec{
		EnableInjector: true, EnableOperatorWebhook: true, UseCDI: true,
		DisablePlugins:      []sriovv1.PluginName{sriovv1.PluginMellanox},
		ConfigDaemonEnvVars: map[string]string{"GODEBUG": "x: \"y\"", "DEV_MODE": "FALSE"},
		FeatureGates: map[string]bool{
			"parallelNicConfig": true, "resourceInjectorMatchCondition": true, "metricsExporter": true, "manageSoftwareBridges": true,
		},
	}
}

// scenario is one rendering that the tests look at in every way.
type scenario struct {
	file, story string
	spec        sriovv1.SriovOperatorConfigSpec
	settings    func(*operand.Settings)
}

func scenarios() []scenario {
	return []scenario{
		{file: "defaults", story: "An operator configuration without a word: daemon and device plugin."},
		{
			file: "everything", story: "Everything on, a large fleet whose plugin configurations need three ConfigMaps, TLS 1.3.", spec: everything(),
			settings: func(s *operand.Settings) {
				s.ExternalDrainer, s.DevMode, s.PullSecrets = true, true, []string{"registry"}
				s.DevicePluginConfigMaps = deviceplugin.Mounts(3)
				s.Metrics.Rules = true
				s.TLS = operand.TLS{MinVersion: "TLSv1.3", CurvePreferences: "X25519MLKEM768,X25519", CipherSuites: "ECDHE-RSA-AES128-GCM-SHA256,AES128-SHA"}
			},
		},
		{
			file: "injector-exporter", story: "Injector and exporter, certificates by cert-manager, the control plane elsewhere.",
			spec: sriovv1.SriovOperatorConfigSpec{
				EnableInjector: true, FeatureGates: map[string]bool{"metricsExporter": true, "blockDevicePluginUntilConfigured": false},
				ConfigDaemonNodeSelector: map[string]string{"pool": "nics"},
			},
			settings: func(s *operand.Settings) {
				s.Certificates = operand.Certificates{Source: operand.CertManager}
				s.ControlPlane = operand.Elsewhere
				s.Kinds.PrometheusRule = false
			},
		},
		{
			file: "systemd", story: "Nodes are configured at boot.",
			spec: sriovv1.SriovOperatorConfigSpec{ConfigurationMode: sriovv1.ConfigurationModeSystemd, ConfigDaemonNodeSelector: map[string]string{}},
		},
		{
			file: "kube-ovn", story: "The quick start with kube-ovn: namespace kube-system, prefix mellanox.com, no CNI plugins, pods are deleted.",
			spec: sriovv1.SriovOperatorConfigSpec{
				LogLevel: 2, ResourcePrefix: "mellanox.com", PodEvictionForce: true, PodEvictionPolicy: sriovv1.PodEvictionPolicyDelete,
			},
			settings: func(s *operand.Settings) {
				s.Namespace = ""
				s.Images.SriovCNI, s.Images.IBCNI, s.Images.OVSCNI, s.Images.RDMACNI = "", "", "", ""
				s.Kinds = operand.Kinds{ValidatingAdmissionPolicy: true}
			},
		},
		{
			file: "openshift", story: "OpenShift with a hosted control plane makes the certificates; one node.", spec: everything(),
			settings: func(s *operand.Settings) {
				s.Platform, s.ControlPlane, s.SingleNode = operand.OpenShift, operand.Elsewhere, true
				s.Certificates = operand.Certificates{Source: operand.ServiceCA}
			},
		},
	}
}

func (c scenario) render() (operand.Objects, []operand.Problem, operand.Settings) {
	s := settings()
	if c.settings != nil {
		c.settings(&s)
	}
	out, problems := operand.Render(config(c.spec), s)
	if s.Namespace == "" {
		s.Namespace = "kube-system"
	}
	return out, problems, s
}

// all are the objects of every group.
func all(o operand.Objects) []operand.Object {
	var out []operand.Object
	for _, d := range o.Deployments {
		out = append(append(out, d.Apply...), d.WhenServing...)
	}
	return out
}

// print is a rendering for people: for each group what is applied and what is deleted.
func print(t *testing.T, story string, o operand.Objects, problems []operand.Problem) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", story)
	for _, p := range problems {
		fmt.Fprintf(&b, "# %s of %s: %s\n", p.Severity, p.Group, p)
	}
	for _, d := range o.Deployments {
		fmt.Fprintf(&b, "\n# %s: %s\n", d.Group, d.State)
		for _, ref := range d.Delete {
			fmt.Fprintf(&b, "# delete %s\n", ref)
		}
		for i, obj := range slices.Concat(d.Apply, d.WhenServing) {
			patch, err := operand.Patch(obj)
			if err != nil {
				t.Fatal(err)
			}
			text, err := yaml.Marshal(patch.Object)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString("---\n")
			if i >= len(d.Apply) {
				b.WriteString("# once a pod of the group is ready\n")
			}
			b.Write(text)
		}
	}
	return b.String()
}

func TestRenderedObjectsAreTheGoldenOnes(t *testing.T) {
	for _, c := range scenarios() {
		t.Run(c.story, func(t *testing.T) {
			out, problems, _ := c.render()
			got := print(t, c.story, out, problems)
			file := filepath.Join("testdata", c.file+".yaml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got, -update writes it):\n%s", file, diff)
			}
		})
	}
}

func TestEveryScenarioDeploysWhatItAsksForAndIsTheSameTwice(t *testing.T) {
	for _, c := range scenarios() {
		one, problems, _ := c.render()
		two, _, _ := c.render()
		if diff := cmp.Diff(one, two); diff != "" {
			t.Errorf("%s: rendered twice (-one +two):\n%s", c.file, diff)
		}
		for _, p := range problems {
			if p.Severity == operand.Refusal {
				t.Errorf("%s: refused: %s", c.file, p)
			}
		}
		for _, d := range one.Deployments {
			if d.State == operand.LeftAlone {
				t.Errorf("%s: %s is left alone", c.file, d.Group)
			}
		}
	}
}

func TestEveryObjectIsNamedLabelledAndInTheNamespace(t *testing.T) {
	clustered := []string{
		"ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	}
	for _, c := range scenarios() {
		out, _, s := c.render()
		seen := map[operand.Ref]bool{}
		for _, o := range all(out) {
			ref := operand.RefOf(o)
			if ref.Kind == "" || ref.Version == "" || ref.Name == "" {
				t.Errorf("%s: %+v has no kind or name", c.file, ref)
			}
			if seen[ref] {
				t.Errorf("%s: %s is there twice", c.file, ref)
			}
			seen[ref] = true
			want := s.Namespace
			if slices.Contains(clustered, ref.Kind) {
				want = ""
			}
			if o.GetNamespace() != want {
				t.Errorf("%s: %s is in namespace %q, want %q", c.file, ref, o.GetNamespace(), want)
			}
			if owned := len(o.GetOwnerReferences()) == 1; owned != (want != "") {
				t.Errorf("%s: %s has %d owners", c.file, ref, len(o.GetOwnerReferences()))
			}
			if !operand.Ours(o) {
				t.Errorf("%s: %s does not say that it is ours", c.file, ref)
			}
			for key, value := range o.GetLabels() {
				if bad := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(bad) > 0 {
					t.Errorf("%s: %s: label %s=%s: %v", c.file, ref, key, value, bad)
				}
			}
		}
	}
}

// template is the pod of a DaemonSet or Deployment.
func template(o operand.Object) (corev1.PodTemplateSpec, *metav1.LabelSelector, bool) {
	switch w := o.(type) {
	case *appsv1.DaemonSet:
		return w.Spec.Template, w.Spec.Selector, true
	case *appsv1.Deployment:
		return w.Spec.Template, w.Spec.Selector, true
	}
	return corev1.PodTemplateSpec{}, nil, false
}

// privilegedContainers are those that may do anything to their host, and why.
func privilegedContainers() map[string]string {
	return map[string]string{
		"sriov-network-config-daemon": "configures NICs, the boot loader and services of the host",
		"sriov-service-copy":          "copies the daemon's program to the host",
		"sriov-device-plugin":         "opens vfio and vdpa devices, and SELinux keeps others from the kubelet's sockets",
		"sriov-cni":                   "copies a CNI plugin to the host against SELinux",
		"sriov-infiniband-cni":        "copies a CNI plugin to the host against SELinux",
		"ovs-cni":                     "copies a CNI plugin to the host against SELinux",
		"rdma-cni":                    "copies a CNI plugin to the host against SELinux",
	}
}

func TestEveryContainerSaysWhatItNeedsAndIsConfinedUnlessItChangesTheHost(t *testing.T) {
	reasons := privilegedContainers()
	used := map[string]bool{}
	for _, c := range scenarios() {
		out, _, _ := c.render()
		for _, o := range all(out) {
			pod, _, ok := template(o)
			if !ok {
				continue
			}
			for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				where := c.file + ": " + o.GetName() + ": " + container.Name
				if container.Image == "" || len(container.Resources.Requests) != 2 {
					t.Errorf("%s: image %q, requests %v", where, container.Image, container.Resources.Requests)
				}
				sc := container.SecurityContext
				if sc == nil || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem {
					t.Errorf("%s: root file system is writable", where)
					continue
				}
				_, may := reasons[container.Name]
				used[container.Name] = true
				if sc.Privileged != nil && *sc.Privileged {
					if !may {
						t.Errorf("%s is privileged without a reason", where)
					}
					continue
				}
				if sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation ||
					sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(sc.Capabilities.Add) > 0 ||
					sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
					t.Errorf("%s is not confined: %+v", where, sc)
				}
			}
		}
	}
	for name := range reasons {
		if !used[name] {
			t.Errorf("no scenario has container %s", name)
		}
	}
}

func TestHostPathsAreThoseWithAReason(t *testing.T) {
	reasons := map[string]string{
		"/":                                   "daemon: sysfs, /etc, the boot loader, D-Bus",
		"/var/lib/cni/bin":                    "where the container runtime looks for CNI plugins",
		"/etc/os-release":                     "installers of CNI plugins choose the program for the host",
		"/var/lib/kubelet/device-plugins":     "device plugin: it registers with the kubelet here",
		"/var/lib/kubelet/plugins_registry":   "device plugin: the kubelet finds it here",
		"/var/run/k8s.cni.cncf.io/devinfo/dp": "device plugin: what multus reads about a device",
		"/var/run/cdi":                        "device plugin: what the container runtime reads about a device",
		"/var/lib/kubelet/pod-resources/kubelet.sock": "exporter: which pod has which VF",
		"/var/lib/kubelet/cpu_manager_state":          "exporter: it looks for it at start",
		"/sys/class/net":                              "exporter: metrics of VFs",
		"/sys/bus/pci/devices":                        "exporter: metrics of VFs",
		"/sys/devices":                                "exporter: what links in the two above point to",
	}
	used := map[string]bool{}
	for _, c := range scenarios() {
		out, _, _ := c.render()
		for _, o := range all(out) {
			pod, _, _ := template(o)
			for _, v := range pod.Spec.Volumes {
				if v.HostPath == nil {
					continue
				}
				if _, ok := reasons[v.HostPath.Path]; !ok {
					t.Errorf("%s: %s mounts %s of the host without a reason", c.file, o.GetName(), v.HostPath.Path)
				}
				used[v.HostPath.Path] = true
			}
		}
	}
	for path := range reasons {
		if !used[path] {
			t.Errorf("nothing mounts %s", path)
		}
	}
}

func TestPodsAreSelectedMountWhatTheyHaveAndHoldNoTokenForNothing(t *testing.T) {
	for _, c := range scenarios() {
		out, _, _ := c.render()
		for _, o := range all(out) {
			pod, selector, ok := template(o)
			if !ok {
				continue
			}
			where := c.file + ": " + o.GetName()
			if want := map[string]string{"app": o.GetName()}; !cmp.Equal(selector.MatchLabels, want) || pod.Labels["app"] != o.GetName() {
				t.Errorf("%s: selects %v, pods have %v", where, selector.MatchLabels, pod.Labels)
			}
			volumes := map[string]bool{}
			for _, v := range pod.Spec.Volumes {
				if volumes[v.Name] {
					t.Errorf("%s: volume %s is there twice", where, v.Name)
				}
				volumes[v.Name] = false
			}
			for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				env := map[string]bool{}
				for _, e := range container.Env {
					if env[e.Name] {
						t.Errorf("%s: %s has %s twice", where, container.Name, e.Name)
					}
					env[e.Name] = true
				}
				token := false
				for _, m := range container.VolumeMounts {
					if _, ok := volumes[m.Name]; !ok {
						t.Errorf("%s: %s mounts %s, which is no volume", where, container.Name, m.Name)
					}
					volumes[m.Name] = true
					token = token || m.Name == "api-access"
				}
				withToken := slices.Contains([]string{"sriov-network-config-daemon", "sriov-device-plugin-init", "kube-rbac-proxy"}, container.Name)
				automatic := pod.Spec.AutomountServiceAccountToken == nil
				if token != withToken || automatic != (container.Name == "webhook-server") {
					t.Errorf("%s: %s: token %v, automatic %v", where, container.Name, token, automatic)
				}
			}
			for name, mounted := range volumes {
				if !mounted {
					t.Errorf("%s: nobody mounts volume %s", where, name)
				}
			}
		}
	}
}

func TestPatchesHaveNeitherStatusNorNull(t *testing.T) {
	var walk func(where string, value any)
	walk = func(where string, value any) {
		switch v := value.(type) {
		case nil:
			t.Errorf("%s is null", where)
		case map[string]any:
			for key, inner := range v {
				walk(where+"."+key, inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s[%d]", where, i), inner)
			}
		}
	}
	for _, c := range scenarios() {
		out, _, _ := c.render()
		for _, o := range all(out) {
			patch, err := operand.Patch(o)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := patch.Object["status"]; ok {
				t.Errorf("%s has a status", operand.RefOf(o))
			}
			walk(operand.RefOf(o).String(), patch.Object)
			if got := operand.RefOf(patch); got != operand.RefOf(o) {
				t.Errorf("the patch of %s is one of %s", operand.RefOf(o), got)
			}
		}
	}
}

func TestWhatIsNotAppliedIsDeletedAndNothingElse(t *testing.T) {
	for _, c := range scenarios() {
		out, _, s := c.render()
		removal := operand.Removal(s)
		for _, d := range out.Deployments {
			whole := removal.Of(d.Group).Delete
			if d.State == operand.Removed && !reflect.DeepEqual(d.Delete, whole) {
				t.Errorf("%s: removing %s deletes %v, want %v", c.file, d.Group, d.Delete, whole)
			}
			applied, kept := slices.Concat(d.Apply, d.WhenServing), 0
			for _, ref := range whole {
				// What a Secret holds is not rendered.
				if d.State == operand.Deployed && ref.Kind == "Secret" {
					kept++
				}
			}
			if len(applied)+len(d.Delete)+kept != len(whole) {
				t.Errorf("%s: %s: %d applied, %d deleted and %d kept of %d", c.file, d.Group, len(applied), len(d.Delete), kept, len(whole))
			}
			for _, o := range applied {
				if !slices.Contains(whole, operand.RefOf(o)) {
					t.Errorf("%s: %s is applied and would never be deleted", c.file, operand.RefOf(o))
				}
			}
		}
	}
}

func TestWebhookConfigurationsComeLastAndGoFirst(t *testing.T) {
	s := settings()
	out, _ := operand.Render(config(everything()), s)
	for _, g := range []operand.Group{operand.Injector, operand.Webhook} {
		d := out.Of(g)
		for _, o := range d.Apply {
			if strings.HasSuffix(operand.RefOf(o).Kind, "WebhookConfiguration") {
				t.Errorf("%s is applied before a pod can answer", operand.RefOf(o))
			}
		}
		if len(d.WhenServing) == 0 {
			t.Errorf("%s has no webhook", g)
		}
		if first := operand.Removal(s).Of(g).Delete[0]; !strings.HasSuffix(first.Kind, "WebhookConfiguration") {
			t.Errorf("%s: %s is deleted first", g, first)
		}
	}
}

func TestNamesAreThoseThatOtherSoftwareReads(t *testing.T) {
	c := scenarios()[1]
	out, _, _ := c.render()
	objects := map[string]operand.Object{}
	for _, o := range all(out) {
		objects[operand.RefOf(o).Kind+"/"+o.GetName()] = o
	}
	for _, name := range []string{
		"DaemonSet/sriov-network-config-daemon", "ServiceAccount/sriov-network-config-daemon",
		"DaemonSet/sriov-device-plugin", "ServiceAccount/sriov-device-plugin", "Role/sriov-device-plugin-pod-access",
		"RoleBinding/sriov-device-plugin-pod-access",
		"Service/operator-webhook-service", "ServiceAccount/operator-webhook-sa", "ClusterRole/operator-webhook",
		"ClusterRoleBinding/operator-webhook-role-binding", "MutatingWebhookConfiguration/sriov-operator-webhook-config",
		"ValidatingWebhookConfiguration/sriov-operator-webhook-config", "NetworkPolicy/operator-webhook-allow-traffic-api-server",
		"DaemonSet/operator-webhook",
		"Service/network-resources-injector-service", "ServiceAccount/network-resources-injector-sa", "ClusterRole/network-resources-injector",
		"ClusterRoleBinding/network-resources-injector-role-binding", "MutatingWebhookConfiguration/network-resources-injector-config",
		"ConfigMap/nri-control-switches", "NetworkPolicy/network-resources-injector-allow-traffic-api-server", "DaemonSet/network-resources-injector",
		"DaemonSet/sriov-network-metrics-exporter", "Service/sriov-network-metrics-exporter-service", "ServiceAccount/metrics-exporter-sa",
		"ClusterRole/sriov-metrics-kube-rbac-role", "ClusterRoleBinding/sriov-metrics-kube-rbac-rolebinding",
		"ServiceMonitor/sriov-network-metrics-exporter", "Role/prometheus-k8s", "RoleBinding/prometheus-k8s", "PrometheusRule/sriov-vf-rules",
	} {
		if objects[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	for name, want := range map[string][]string{
		"sriov-network-config-daemon": {"sriov-network-config-daemon"}, "sriov-device-plugin": {"sriov-device-plugin"},
		"operator-webhook": {"webhook-server"}, "network-resources-injector": {"webhook-server"},
		"sriov-network-metrics-exporter": {"metrics-exporter", "kube-rbac-proxy"},
	} {
		pod, _, _ := template(objects["DaemonSet/"+name])
		var got []string
		for _, container := range pod.Spec.Containers {
			got = append(got, container.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("containers of %s (-want +got):\n%s", name, diff)
		}
	}
	switches := objects["ConfigMap/nri-control-switches"].(*corev1.ConfigMap)
	if got, want := switches.Data["config.json"], `{"features":{"enableHugePageDownApi":true}}`; got != want {
		t.Errorf("config.json is %s, want %s", got, want)
	}
	if port := objects["Service/sriov-network-metrics-exporter-service"].(*corev1.Service).Spec.Ports[0]; port.Name != "sriov-network-metrics" || port.Port != 9110 {
		t.Errorf("the exporter's port is %s %d", port.Name, port.Port)
	}
}

// workload is the pod template of a group's DaemonSet or Deployment.
func workload(t *testing.T, o operand.Objects, g operand.Group) corev1.PodTemplateSpec {
	t.Helper()
	for _, obj := range o.Of(g).Apply {
		if pod, _, ok := template(obj); ok {
			return pod
		}
	}
	t.Fatalf("%s has no pods: %s", g, o.Of(g).State)
	return corev1.PodTemplateSpec{}
}

// D3: the default selects Linux nodes with SR-IOV hardware, and a selector with
// entries takes its place; an empty one counts as none, for the exporter too.
func TestD3NodeSelector(t *testing.T) {
	def := map[string]string{"kubernetes.io/os": "linux", "feature.node.kubernetes.io/network-sriov.capable": "true"}
	if diff := cmp.Diff(nodestate.DefaultNodeSelector(), def); diff != "" {
		t.Errorf("node states are rendered for other nodes (-states +pods):\n%s", diff)
	}
	for name, c := range map[string]struct{ selector, want map[string]string }{
		"no selector":             {nil, def},
		"an empty selector":       {map[string]string{}, def},
		"a selector with a label": {map[string]string{"pool": "nics"}, map[string]string{"pool": "nics"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := everything()
			spec.ConfigDaemonNodeSelector = c.selector
			out, _ := operand.Render(config(spec), settings())
			for _, g := range []operand.Group{operand.ConfigDaemon, operand.Exporter} {
				if diff := cmp.Diff(c.want, workload(t, out, g).Spec.NodeSelector); diff != "" {
					t.Errorf("%s (-want +got):\n%s", g, diff)
				}
			}
			plugin := workload(t, out, operand.DevicePlugin).Spec.NodeSelector
			if plugin["sriovnetwork.openshift.io/device-plugin"] != "Enabled" || len(plugin) != len(c.want)+1 {
				t.Errorf("the device plugin runs on %v", plugin)
			}
		})
	}
	if spec := (sriovv1.SriovOperatorConfigSpec{ConfigDaemonNodeSelector: map[string]string{"a": "b"}}); len(operand.NodeSelector(spec)) != 1 {
		t.Error("labels are added to those of the selector")
	}
}

// D26: the prefix is that of the operator configuration, then the operator's, then
// openshift.io.
func TestD26ResourcePrefix(t *testing.T) {
	for name, c := range map[string]struct{ config, setting, want string }{
		"nobody says anything":     {"", "", "openshift.io"},
		"the operator has one":     {"", "intel.com", "intel.com"},
		"the configuration has it": {"mellanox.com", "intel.com", "mellanox.com"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings()
			s.ResourcePrefix = c.setting
			out, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{ResourcePrefix: c.config}), s)
			args := workload(t, out, operand.DevicePlugin).Spec.Containers[0].Args
			if !slices.Contains(args, "--resource-prefix="+c.want) {
				t.Errorf("the device plugin gets %v", args)
			}
		})
	}
}

// D25: however many ConfigMaps there are, one volume has the file of every node, and a
// pod starts before they exist.
func TestD25PluginConfigIsOneProjectedVolumeOfOptionalShards(t *testing.T) {
	for _, shards := range []int{1, 2, 5} {
		s := settings()
		s.DevicePluginConfigMaps = deviceplugin.Mounts(shards)
		out, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{}), s)
		pod := workload(t, out, operand.DevicePlugin)
		var names []string
		for _, v := range pod.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, source := range v.Projected.Sources {
				if source.ConfigMap == nil || source.ConfigMap.Name == "kube-root-ca.crt" {
					continue
				}
				if source.ConfigMap.Optional == nil || !*source.ConfigMap.Optional {
					t.Errorf("%s is not optional", source.ConfigMap.Name)
				}
				names = append(names, source.ConfigMap.Name)
			}
		}
		if diff := cmp.Diff(deviceplugin.Mounts(shards), names); diff != "" {
			t.Errorf("%d shards (-want +got):\n%s", shards, diff)
		}
	}
}

// The log level, drain and eviction settings are read by the daemon while it runs: a
// change of them replaces no pod.
func TestLiveSettingsReplaceNoPod(t *testing.T) {
	before, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{}), settings())
	after, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{
		LogLevel: 2, DisableDrain: true, PodEvictionForce: true, PodEvictionPolicy: sriovv1.PodEvictionPolicyDelete,
		FeatureGates: map[string]bool{"mellanoxFirmwareReset": false},
	}), settings())
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestInjectorFailsOnlyWithAMatchConditionAndNeverHoldsUpOperands(t *testing.T) {
	for name, c := range map[string]struct {
		gate bool
		want admissionv1.FailurePolicyType
	}{
		"without the gate a pod is made without an answer": {false, admissionv1.Ignore},
		"with the gate a pod with networks is not":         {true, admissionv1.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			spec := sriovv1.SriovOperatorConfigSpec{EnableInjector: true, FeatureGates: map[string]bool{"resourceInjectorMatchCondition": c.gate}}
			out, _ := operand.Render(config(spec), settings())
			hook := out.Of(operand.Injector).WhenServing[0].(*admissionv1.MutatingWebhookConfiguration).Webhooks[0]
			if *hook.FailurePolicy != c.want || (len(hook.MatchConditions) == 1) != c.gate {
				t.Errorf("failure policy %s with %d conditions", *hook.FailurePolicy, len(hook.MatchConditions))
			}
			selector, err := metav1.LabelSelectorAsSelector(hook.ObjectSelector)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range operand.Groups() {
				full, _ := operand.Render(config(everything()), settings())
				if labels := workload(t, full, g).Labels; selector.Matches(labelSet(labels)) {
					t.Errorf("pods of %s wait for the injector", g)
				}
			}
			if !selector.Matches(labelSet{"app": "database"}) || !selector.Matches(labelSet{}) {
				t.Error("pods of users are not asked about")
			}
		})
	}
}

// labelSet are labels as a selector reads them.
type labelSet map[string]string

func (l labelSet) Has(label string) bool              { _, ok := l[label]; return ok }
func (l labelSet) Get(label string) string            { return l[label] }
func (l labelSet) Lookup(label string) (string, bool) { v, ok := l[label]; return v, ok }

func TestNetworkPoliciesSelectTheWebhooksAndOpenTheirPorts(t *testing.T) {
	s := settings()
	s.APIServerPort = 8443
	out, _ := operand.Render(config(everything()), s)
	found := 0
	for _, o := range all(out) {
		policy, ok := o.(*networkingv1.NetworkPolicy)
		if !ok {
			continue
		}
		found++
		if in, to := policy.Spec.Ingress[0].Ports[0].Port.IntValue(), policy.Spec.Egress[0].Ports[0].Port.IntValue(); in != 6443 || to != 8443 {
			t.Errorf("%s opens %d and %d", policy.Name, in, to)
		}
	}
	if found != 2 {
		t.Errorf("%d network policies", found)
	}
}

func TestWhereTheControlPlaneIsElsewhereWebhooksAreTwoReplicasOnAnyNode(t *testing.T) {
	s := settings()
	s.ControlPlane = operand.Elsewhere
	out, _ := operand.Render(config(everything()), s)
	for _, g := range []operand.Group{operand.Injector, operand.Webhook} {
		var found *appsv1.Deployment
		for _, o := range out.Of(g).Apply {
			if d, ok := o.(*appsv1.Deployment); ok {
				found = d
			}
		}
		if found == nil || *found.Spec.Replicas != 2 || found.Spec.Template.Spec.Affinity != nil {
			t.Errorf("%s: %+v", g, found)
			continue
		}
		gone := slices.ContainsFunc(out.Of(g).Delete, func(r operand.Ref) bool { return r.Kind == "DaemonSet" && r.Name == found.Name })
		if !gone {
			t.Errorf("%s: the DaemonSet of before stays", g)
		}
	}
}

func TestForeignObjectsAreNotOurs(t *testing.T) {
	foreign := &unstructured.Unstructured{}
	foreign.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "Helm"})
	foreign.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "monitoring.coreos.com/v1", Kind: "Prometheus", Name: "k8s"}})
	if operand.Ours(foreign) {
		t.Error("an object of somebody else is ours")
	}
	foreign.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "sriovnetwork.openshift.io/v1", Kind: "SriovOperatorConfig", Name: "default"}})
	if !operand.Ours(foreign) {
		t.Error("an object of the existing operator is not taken over")
	}
}
