// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

func TestASettingThatCannotBeUsedLeavesItsGroupsAloneAndNoOther(t *testing.T) {
	for name, c := range map[string]struct {
		spec     func(*sriovv1.SriovOperatorConfigSpec)
		settings func(*operand.Settings)
		field    string
		reason   string
		want     []operand.Group
	}{
		"no image for the daemon": {
			settings: func(s *operand.Settings) { s.Images.ConfigDaemon = "" },
			field:    "images.configDaemon", want: []operand.Group{operand.ConfigDaemon, operand.DevicePlugin},
		},
		"no image for the device plugin": {
			settings: func(s *operand.Settings) { s.Images.DevicePlugin = "" },
			field:    "images.devicePlugin", want: []operand.Group{operand.DevicePlugin},
		},
		"no image for the injector": {
			settings: func(s *operand.Settings) { s.Images.Injector = "" },
			field:    "images.injector", want: []operand.Group{operand.Injector},
		},
		"no image for the exporter's proxy": {
			settings: func(s *operand.Settings) { s.Images.RBACProxy = "" },
			field:    "images.rbacProxy", want: []operand.Group{operand.Exporter},
		},
		"no CA for the webhook": {
			settings: func(s *operand.Settings) { s.Certificates.WebhookCA = nil },
			field:    "certificates", want: []operand.Group{operand.Webhook},
		},
		"cert-manager is not installed": {
			settings: func(s *operand.Settings) {
				s.Certificates, s.Kinds.Certificate = operand.Certificates{Source: operand.CertManager}, false
			},
			field: "certificates", want: []operand.Group{operand.Injector, operand.Webhook},
		},
		"certificates of OpenShift elsewhere": {
			settings: func(s *operand.Settings) { s.Certificates = operand.Certificates{Source: operand.ServiceCA} },
			field:    "certificates", want: []operand.Group{operand.Injector, operand.Webhook},
		},
		"a version of TLS that is not secure": {
			settings: func(s *operand.Settings) { s.TLS.MinVersion = "TLSv1.1" },
			field:    "tls.minVersion", want: []operand.Group{operand.Injector, operand.Exporter, operand.Webhook},
		},
		"systemd where the control plane of OpenShift is hosted": {
			spec: func(s *sriovv1.SriovOperatorConfigSpec) { s.ConfigurationMode = sriovv1.ConfigurationModeSystemd },
			settings: func(s *operand.Settings) {
				s.Platform, s.ControlPlane = operand.OpenShift, operand.Elsewhere
			},
			field: "spec.configurationMode", reason: "UnsupportedConfiguration", want: []operand.Group{operand.ConfigDaemon},
		},
		"a port that is none": {
			settings: func(s *operand.Settings) { s.Metrics.Port = 70000 },
			field:    "metrics.port", want: []operand.Group{operand.Exporter},
		},
		"a folder of CNI plugins without a root": {
			settings: func(s *operand.Settings) { s.CNIBinDir = "opt/cni/bin" },
			field:    "cniBinDir", want: []operand.Group{operand.ConfigDaemon},
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec, s := everything(), settings()
			if c.spec != nil {
				c.spec(&spec)
			}
			c.settings(&s)
			out, problems := operand.Render(config(spec), s)
			var alone []operand.Group
			for _, d := range out.Deployments {
				if d.State != operand.LeftAlone {
					continue
				}
				alone = append(alone, d.Group)
				if len(d.Apply)+len(d.WhenServing)+len(d.Delete) > 0 {
					t.Errorf("%s is left alone and changed", d.Group)
				}
			}
			if diff := cmp.Diff(c.want, alone); diff != "" {
				t.Errorf("left alone (-want +got):\n%s", diff)
			}
			if c.reason == "" {
				c.reason = "OperatorConfigSyncFailed"
			}
			named := slices.ContainsFunc(problems, func(p operand.Problem) bool {
				return p.Severity == operand.Refusal && p.Field == c.field && p.Reason == c.reason && p.Cause != "" && p.Fix != ""
			})
			if !named {
				t.Errorf("no refusal names %s: %v", c.field, problems)
			}
		})
	}
}

func TestProblemsThatStopNothingAreWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		spec     sriovv1.SriovOperatorConfigSpec
		settings func(*operand.Settings)
		want     string
	}{
		"a feature gate that is not known": {
			spec: sriovv1.SriovOperatorConfigSpec{FeatureGates: map[string]bool{"parallelNics": true}},
			want: "spec.featureGates[parallelNics]: is not a feature gate and has no effect; known are blockDevicePluginUntilConfigured, manageSoftwareBridges, " +
				"mellanoxFirmwareReset, metricsExporter, parallelNicConfig, resourceInjectorMatchCondition",
		},
		"a field without effect": {
			spec: sriovv1.SriovOperatorConfigSpec{EnableOvsOffload: true},
			want: "spec.enableOvsOffload: has no effect; set eSwitchMode: switchdev in a policy",
		},
		"a variable that ties the daemon to its node": {
			spec: sriovv1.SriovOperatorConfigSpec{ConfigDaemonEnvVars: map[string]string{"NODE_NAME": "other"}},
			want: "spec.configDaemonEnvVars[NODE_NAME]: is set by the operator and cannot be changed; remove it",
		},
		"a variable that the API server would refuse": {
			spec: sriovv1.SriovOperatorConfigSpec{ConfigDaemonEnvVars: map[string]string{"A=B": "c"}},
			want: "spec.configDaemonEnvVars[A=B]: \"A=B\" is no name of an environment variable and is left out; use letters, digits and _",
		},
		"an old cluster without admission policies": {
			settings: func(s *operand.Settings) { s.Kinds.ValidatingAdmissionPolicy = false },
			want: "kinds.validatingAdmissionPolicy: the cluster has no such kind, so a daemon may change nodes and node states other than its own; " +
				"use Kubernetes 1.30 or later",
		},
		"an injector without network attachments": {
			spec:     sriovv1.SriovOperatorConfigSpec{EnableInjector: true},
			settings: func(s *operand.Settings) { s.Kinds.NetworkAttachmentDefinition = false },
			want: "kinds.networkAttachmentDefinition: the cluster has no network attachments, so there is nothing to inject; " +
				"install multus or the attachment definition of its own",
		},
		"recording rules that nobody reads": {
			spec: sriovv1.SriovOperatorConfigSpec{FeatureGates: map[string]bool{"metricsExporter": true}},
			settings: func(s *operand.Settings) {
				s.Metrics.Rules, s.Kinds.PrometheusRule = true, false
			},
			want: "metrics.rules: the cluster has no kind PrometheusRule; install the Prometheus operator",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings()
			if c.settings != nil {
				c.settings(&s)
			}
			out, problems := operand.Render(config(c.spec), s)
			var got []string
			for _, p := range problems {
				if p.Severity != operand.Warning || p.Reason != "" {
					t.Errorf("%s is a %s", p, p.Severity)
				}
				got = append(got, p.String())
			}
			if diff := cmp.Diff([]string{c.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, d := range out.Deployments {
				if d.State == operand.LeftAlone {
					t.Errorf("%s is left alone", d.Group)
				}
			}
		})
	}
}

func TestVariablesOfTheConfigurationReplaceTheOperatorsOwn(t *testing.T) {
	s := settings()
	s.DevMode = true
	out, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{
		ConfigDaemonEnvVars: map[string]string{"DEV_MODE": "FALSE", "NAMESPACE": "x", "B": "2", "A": "line\n\"quoted\""},
	}), s)
	var got []corev1.EnvVar
	for _, e := range workload(t, out, operand.ConfigDaemon).Spec.Containers[0].Env {
		if e.ValueFrom == nil {
			got = append(got, e)
		}
	}
	want := []corev1.EnvVar{
		{Name: "CLUSTER_TYPE", Value: "kubernetes"}, {Name: "RESOURCE_PREFIX", Value: "openshift.io"},
		{Name: "DEV_MODE", Value: "FALSE"}, {Name: "A", Value: "line\n\"quoted\""}, {Name: "B", Value: "2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDefaultsOfFeatureGates(t *testing.T) {
	out, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{}), settings())
	if got := workload(t, out, operand.ConfigDaemon).Spec.Containers[0].Args; !slices.Equal(got, []string{"start"}) {
		t.Errorf("the daemon gets %v", got)
	}
	if state := out.Of(operand.Exporter).State; state != operand.Removed {
		t.Errorf("the exporter is %s", state)
	}
	plugin := workload(t, out, operand.DevicePlugin)
	if len(plugin.Spec.InitContainers) != 1 || plugin.Labels["init-container-enabled"] != "true" {
		t.Errorf("the device plugin does not wait for the daemon: %v", plugin.Labels)
	}
	out, _ = operand.Render(config(sriovv1.SriovOperatorConfigSpec{FeatureGates: map[string]bool{"blockDevicePluginUntilConfigured": false}}), settings())
	plugin = workload(t, out, operand.DevicePlugin)
	if len(plugin.Spec.InitContainers) != 0 || plugin.Labels["init-container-enabled"] != "false" {
		t.Errorf("the device plugin waits for the daemon: %v", plugin.Labels)
	}
	for _, o := range out.Of(operand.DevicePlugin).Apply {
		if operand.RefOf(o).Kind == "Role" {
			t.Errorf("a device plugin that does not wait has %s", operand.RefOf(o))
		}
	}
}

func TestTLSSettingsAreSpelledAsServersTakeThem(t *testing.T) {
	for name, c := range map[string]struct {
		tls      operand.TLS
		want     []string
		warnings int
		refusal  string
	}{
		"nothing is set": {},
		"names of OpenSSL become those of IANA": {
			tls:  operand.TLS{CipherSuites: "ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-CHACHA20-POLY1305"},
			want: []string{"--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
		},
		"names of IANA stay, each once": {
			tls:  operand.TLS{CipherSuites: "TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,ECDHE-RSA-AES256-GCM-SHA384"},
			want: []string{"--tls-cipher-suites=TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
		},
		"what is not secure, or not offered, is left out": {
			tls:      operand.TLS{CipherSuites: "AES128-SHA,DHE-RSA-AES128-GCM-SHA256,TLS_RSA_WITH_RC4_128_SHA,TLS_DHE_RSA_WITH_AES_128_GCM_SHA256,ECDHE-RSA-AES128-GCM-SHA256"},
			want:     []string{"--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
			warnings: 4,
		},
		"nothing secure is left": {
			tls: operand.TLS{CipherSuites: "AES128-SHA"}, warnings: 1, refusal: "tls.cipherSuites: none of the cipher suites is secure",
		},
		"a name that is none": {
			tls: operand.TLS{CipherSuites: "ECDHE-RSA-AES128-GCM-SHA257"}, refusal: `tls.cipherSuites: "ECDHE-RSA-AES128-GCM-SHA257" is no cipher suite`,
		},
		"versions in every spelling": {tls: operand.TLS{MinVersion: "1.3"}, want: []string{"--tls-min-version=VersionTLS13"}},
		"a version that is none":     {tls: operand.TLS{MinVersion: "SSLv3"}, refusal: `tls.minVersion: "SSLv3" is no version of TLS`},
		"curves become numbers": {
			tls:  operand.TLS{CurvePreferences: "X25519MLKEM768,X25519,secp256r1,secp384r1,secp521r1,X25519"},
			want: []string{"--tls-curve-preferences=4588,29,23,24,25"},
		},
		"a curve that is none": {tls: operand.TLS{CurvePreferences: "x448"}, refusal: `tls.curvePreferences: "x448" is no curve`},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings()
			s.TLS = c.tls
			out, problems := operand.Render(config(sriovv1.SriovOperatorConfigSpec{EnableOperatorWebhook: true}), s)
			warnings, refused := 0, c.refusal == ""
			for _, p := range problems {
				if p.Severity == operand.Warning {
					warnings++
				} else if c.refusal != "" && strings.HasPrefix(p.String(), c.refusal) {
					refused = true
				} else {
					t.Errorf("refused: %s", p)
				}
			}
			if warnings != c.warnings || !refused {
				t.Errorf("%d warnings, want %d: %v", warnings, c.warnings, problems)
			}
			if c.refusal != "" {
				return
			}
			var got []string
			for _, arg := range workload(t, out, operand.Webhook).Spec.Containers[0].Args {
				if strings.HasPrefix(arg, "--tls-") && !strings.Contains(arg, "-file=") {
					got = append(got, arg)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
