// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// TestCertManagerIsAskedForTheCertificatesThatTheOperatorNames builds deploy with its component, as kubectl does.
func TestCertManagerIsAskedForTheCertificatesThatTheOperatorNames(t *testing.T) {
	for namespace, inner := range map[string]string{sriovv1.DefaultNamespace: "", "elsewhere": "namespace: elsewhere\n"} {
		t.Run(namespace, func(t *testing.T) {
			folder := t.TempDir()
			base := filepath.Join(folder, "base")
			kustomization(t, base, inner, "resources: ["+toDeploy(t, base)+"]")
			with := filepath.Join(folder, "with")
			kustomization(t, with, "resources: [../base]", "components: ["+toDeploy(t, with)+"/cert-manager]")
			was, is := built(t, base), built(t, with)

			var config sriovv1.SriovOperatorConfig
			config.Spec = sriovv1.SriovOperatorConfigSpec{
				EnableInjector: true, EnableOperatorWebhook: true, FeatureGates: map[string]bool{sriovv1.FeatureMetricsExporter: true},
			}
			wanted := operand.SelfMade(config, operand.Settings{Namespace: namespace})
			if len(wanted) != 3 {
				t.Fatalf("the operator names %d certificates, want 3", len(wanted))
			}
			issuer := is["Issuer/sriov-network-operator"]
			if issuer == nil || issuer.GetNamespace() != namespace {
				t.Fatalf("the issuer is %v", issuer)
			}
			delete(is, "Issuer/sriov-network-operator")
			for _, c := range wanted {
				made := is["Certificate/"+c.Secret.Name]
				if made == nil || made.GetNamespace() != namespace {
					t.Fatalf("Certificate %s is %v", c.Secret.Name, made)
				}
				names, _, _ := unstructured.NestedStringSlice(made.Object, "spec", "dnsNames")
				secret, _, _ := unstructured.NestedString(made.Object, "spec", "secretName")
				signer, _, _ := unstructured.NestedString(made.Object, "spec", "issuerRef", "name")
				if diff := cmp.Diff(c.DNSNames, names); diff != "" || secret != c.Secret.Name || signer != issuer.GetName() {
					t.Errorf("Secret %s, signed by %s, for (-want +got):\n%s", secret, signer, diff)
				}
				delete(is, "Certificate/"+c.Secret.Name)
			}
			// Besides, one variable of the operator is set.
			const operator = "Deployment/sriov-network-operator"
			containers, _, err := unstructured.NestedSlice(is[operator].Object, "spec", "template", "spec", "containers")
			if err != nil {
				t.Fatal(err)
			}
			container := containers[0].(map[string]any)
			env := container["env"].([]any)
			at := slices.IndexFunc(env, func(v any) bool { return v.(map[string]any)["name"] == envCertManager })
			if at < 0 || env[at].(map[string]any)["value"] != "true" {
				t.Fatalf("%s is not set: %v", envCertManager, env)
			}
			container["env"] = slices.Delete(env, at, at+1)
			if err := unstructured.SetNestedSlice(is[operator].Object, containers, "spec", "template", "spec", "containers"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(was, is); diff != "" {
				t.Errorf("what else the component changes (-without +with):\n%s", diff)
			}
		})
	}
}

// toDeploy is the way from a folder to deploy.
func toDeploy(t *testing.T, folder string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	deploy, err := filepath.Rel(folder, filepath.Join(here, "../../deploy"))
	if err != nil {
		t.Fatal(err)
	}
	return deploy
}

func kustomization(t *testing.T, folder string, lines ...string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// built are the objects of a kustomization, by kind and name.
func built(t *testing.T, folder string) map[string]*unstructured.Unstructured {
	t.Helper()
	out := map[string]*unstructured.Unstructured{}
	for document := range strings.SplitSeq(plane.Cluster(t).Kubectl(t, "kustomize", folder), "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatal(fmt.Errorf("%w in\n%s", err, document))
		}
		out[o.GetKind()+"/"+o.GetName()] = o
	}
	return out
}
