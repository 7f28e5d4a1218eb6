// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/install"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

var update = flag.Bool("update", false, "write the files under deploy and charts")

const (
	root  = "../../.."
	chart = "charts/sriov-network-operator"
	head  = "# SPDX-FileCopyrightText: The SR-IOV Network Operator authors\n# SPDX-License-Identifier: Apache-2.0\n#\n" +
		"# Written by: go test ./internal/render/install -update\n"
)

// text is objects as a file has them; rules have what they are for as comments.
func text(t *testing.T, objects ...operand.Object) string {
	t.Helper()
	var b strings.Builder
	for _, o := range objects {
		b.WriteString("---\n")
		var rights []install.Right
		switch role := o.(type) {
		case *rbacv1.ClusterRole:
			rights, role.Rules = install.Everywhere(), nil
		case *rbacv1.Role:
			rights, role.Rules = install.InNamespace(), nil
		}
		patch, err := operand.Patch(o)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(marshal(t, patch.Object))
		if rights != nil {
			b.WriteString("rules:\n" + ruleText(t, rights))
		}
	}
	return b.String()
}

func ruleText(t *testing.T, rights []install.Right) string {
	t.Helper()
	var b strings.Builder
	why := ""
	for _, r := range rights {
		if r.Why != why {
			fmt.Fprintf(&b, "# %s\n", r.Why)
			why = r.Why
		}
		b.WriteString(marshal(t, []rbacv1.PolicyRule{r.PolicyRule}))
	}
	return b.String()
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	out, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// files are all that is written from here.
func files(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"deploy/rbac.yaml":                          head + text(t, inDefault(install.Accounts(sriovv1.DefaultNamespace))...),
		"deploy/operator.yaml":                      head + text(t, inDefault(install.Workload())...),
		"deploy/sriov-operator-config-default.yaml": head + text(t, install.Config()),
		chart + "/rules/everywhere.yaml":            head + ruleText(t, install.Everywhere()),
		chart + "/rules/namespace.yaml":             head + ruleText(t, install.InNamespace()),
	}
}

// inDefault puts objects into the usual namespace. Kustomize finds the account of a
// binding, and with it moves the binding's subject, only by its name and namespace.
func inDefault(objects []operand.Object) []operand.Object {
	for _, o := range objects {
		if !strings.HasPrefix(operand.RefOf(o).Kind, "ClusterRole") {
			o.SetNamespace(sriovv1.DefaultNamespace)
		}
	}
	return objects
}

func TestTheFilesAreFresh(t *testing.T) {
	for name, want := range files(t) {
		path := filepath.Join(root, name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got, -update writes it):\n%s", name, diff)
		}
	}
}

// Both ways to install bring the CRDs as they are generated.
func TestTheCRDsAreThoseThatAreGenerated(t *testing.T) {
	generated, err := filepath.Glob(filepath.Join(root, "config/crd/*.yaml"))
	if err != nil || len(generated) == 0 {
		t.Fatal("no CRDs", err)
	}
	for _, folder := range []string{"deploy/crds", chart + "/crds"} {
		there, err := filepath.Glob(filepath.Join(root, folder, "sriovnetwork.openshift.io_*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if len(there) != len(generated) {
			t.Errorf("%s has %d CRDs, want %d; run hack/generate.sh", folder, len(there), len(generated))
		}
		for _, path := range generated {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(root, folder, filepath.Base(path)))
			if err != nil || !bytes.Equal(want, got) {
				t.Errorf("%s/%s is stale (%v); run hack/generate.sh", folder, filepath.Base(path), err)
			}
		}
	}
}

func all() []install.Right { return slices.Concat(install.Everywhere(), install.InNamespace()) }

func TestTheOperatorHasNoWildcardAndCannotPassOnOrTakeRights(t *testing.T) {
	for _, r := range all() {
		words := slices.Concat(r.APIGroups, r.Resources, r.ResourceNames, r.Verbs)
		for _, word := range words {
			if strings.Contains(word, "*") || slices.Contains([]string{"escalate", "bind", "impersonate", "deletecollection", "approve", "sign"}, word) {
				t.Errorf("the operator may %v %v", r.Verbs, r.Resources)
			}
		}
		if r.Why == "" || len(r.Verbs) == 0 || len(r.Resources) == 0 || len(r.APIGroups) != 1 && r.Why != "granted to what is deployed" {
			t.Errorf("a right that is none or has no reason: %+v", r)
		}
	}
}

// What can take over a cluster is limited to the names that are needed.
func TestWhatIsPowerfulIsLimitedToNames(t *testing.T) {
	powerful := []string{
		"secrets", "roles", "rolebindings", "clusterroles", "clusterrolebindings", "serviceaccounts", "daemonsets", "deployments",
		"mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings",
		"customresourcedefinitions", "services", "networkpolicies", "leases",
	}
	for _, r := range all() {
		for _, resource := range r.Resources {
			if !slices.Contains(powerful, resource) || len(r.ResourceNames) > 0 {
				continue
			}
			for _, verb := range r.Verbs {
				reads := (verb == "list" || verb == "watch") && resource != "secrets"
				// A name is not part of a request that makes a Secret or a Lease.
				makes := verb == "create" && (resource == "secrets" || resource == "leases")
				if !reads && !makes && r.Why != "granted to what is deployed" {
					t.Errorf("the operator may %s all %s", verb, resource)
				}
			}
		}
	}
}

func TestTheOperatorMayDoWhatItGrants(t *testing.T) {
	for _, s := range []operand.Settings{{}, {Platform: operand.OpenShift}, {Namespace: "sriov"}} {
		everywhere, inNamespace := operand.Grants(s)
		for _, c := range []struct {
			has   []install.Right
			wants []rbacv1.PolicyRule
		}{{install.Everywhere(), everywhere}, {install.InNamespace(), inNamespace}} {
			for _, want := range c.wants {
				if !slices.ContainsFunc(c.has, func(r install.Right) bool { return cmp.Equal(r.PolicyRule, want) }) {
					t.Errorf("the operator lacks %v", want)
				}
			}
		}
	}
}

// Whatever is deployed can be kept and removed.
func TestTheOperatorMayWriteAllThatItDeploys(t *testing.T) {
	kinds := map[string]operand.Kind{"Secret": {Resource: "secrets"}}
	for _, k := range operand.AllKinds() {
		kinds[k.Kind] = k
	}
	for _, namespace := range []string{"kube-system", "monitoring", "anywhere"} {
		for _, ref := range operand.AllRefs(operand.Settings{Namespace: namespace}) {
			kind, rights := kinds[ref.Kind], install.InNamespace()
			if ref.Namespace == "" {
				rights = install.Everywhere()
			}
			for _, verb := range []string{"get", "delete"} {
				if !slices.ContainsFunc(rights, func(r install.Right) bool {
					return slices.Contains(r.Resources, kind.Resource) && slices.Contains(r.APIGroups, ref.Group) &&
						slices.Contains(r.ResourceNames, ref.Name) && slices.Contains(r.Verbs, verb)
				}) {
					t.Errorf("the operator may not %s %s", verb, ref)
				}
			}
		}
	}
}

func TestThePodNeedsNothingOfItsHost(t *testing.T) {
	for _, o := range install.Workload() {
		patch, err := operand.Patch(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"hostPath", "hostNetwork", "hostPID", "privileged: true", "0.0.0.0"} {
			if strings.Contains(marshal(t, patch.Object), word) {
				t.Errorf("%s has %s", operand.RefOf(o), word)
			}
		}
	}
}

// The namespace is a parameter: nothing that is installed with a name of its own has one.
func TestNoObjectNamesANamespaceButItsBindings(t *testing.T) {
	for _, o := range slices.Concat(install.Accounts("x"), install.Workload(), []operand.Object{install.Config()}) {
		if o.GetNamespace() != "" {
			t.Errorf("%s is in %s", operand.RefOf(o), o.GetNamespace())
		}
	}
}
