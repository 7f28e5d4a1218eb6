// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/install"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

func TestThePageOfRightsIsFresh(t *testing.T) {
	groups := operands(t)
	var b strings.Builder
	b.WriteString(`<!-- Written by: go test ./test/docs -update. Do not edit. -->

# Rights

What each account may do, and what for. Resources of Kubernetes' core and of ` + "`sriovnetwork.openshift.io`" + ` are written without
their group; where no name is given, a right is for all names. No role has a wildcard, and none has ` + "`escalate`, `bind`" + `
or ` + "`impersonate`" + `. Secrets are read by the operator alone, and only those with its certificates.

Nobody can grant what they may not do themselves. So the operator has the rights of all that it deploys, too; these come last in
its tables, with the role that they are for.

## The operator

The account ` + "`sriov-network-operator`" + `, by [` + "`deploy/rbac.yaml`" + `](../../deploy/rbac.yaml) or the chart. Its cluster role holds in every
namespace:

`)
	rightsTable(&b, operatorRights(install.Everywhere(), groups))
	b.WriteString("\nIts role holds in its own namespace:\n\n")
	rightsTable(&b, operatorRights(install.InNamespace(), groups))
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", g.title, g.about)
		for _, r := range g.roles {
			fmt.Fprintf(&b, "\n%s `%s`, for the account %s:\n\n", r.kind, r.name, r.account)
			rightsTable(&b, r.rights(t))
		}
	}
	b.WriteString("\n## Who asks `kubectl sriov`\n\n[`deploy/viewer.yaml`](../../deploy/viewer.yaml) has roles for people; " +
		"they are bound to nobody and allow to read alone.\n")
	for _, r := range viewers(t) {
		fmt.Fprintf(&b, "\n%s `%s`:\n\n", r.kind, r.name)
		rightsTable(&b, r.commented)
	}
	b.WriteString(`
## On the node

What pods may do to their node follows from how they run. A pod that is not listed here, as that of the operator or of a webhook, has
no part of its node and is not root.

| Pod | Privileged | Shares with the node | Folders of the node |
| --- | --- | --- | --- |
`)
	for _, g := range groups {
		for _, p := range g.pods {
			p.row(t, &b)
		}
	}
	generated(t, "docs/reference/rights.md", b.String())
}

// right is a line of a table.
type right struct {
	resources, names, verbs []string
	why                     string
}

// rightsTable lists rights. What differs in its resource alone, or in its name alone,
// shares a line.
func rightsTable(b *strings.Builder, rights []right) {
	b.WriteString("| On | By name | May | For |\n| --- | --- | --- | --- |\n")
	var lines []right
	for _, r := range rights {
		if n := len(lines); n > 0 && lines[n-1].why == r.why && slices.Equal(lines[n-1].verbs, r.verbs) {
			last := &lines[n-1]
			if slices.Equal(last.names, r.names) {
				last.resources = slices.Concat(last.resources, r.resources)
				continue
			}
			if slices.Equal(last.resources, r.resources) {
				last.names = slices.Concat(last.names, r.names)
				continue
			}
		}
		lines = append(lines, r)
	}
	for _, r := range lines {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", inCode(r.resources), inCode(shards(r.names)), strings.Join(r.verbs, ", "), cell(r.why))
	}
}

func inCode(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

// shards are the names, of which those that differ in a number alone share one.
func shards(names []string) []string {
	var out []string
	first, last := "", 0
	for _, name := range names {
		if n := len(out); n > 0 && name == fmt.Sprintf("%s-%d", first, last+1) {
			if last++; last > 1 {
				out = out[:n-1]
				name = fmt.Sprintf("%s-1` to `%s-%d", first, first, last)
			}
		} else {
			first, last = name, 0
		}
		out = append(out, name)
	}
	return out
}

// qualified are resources with their groups, as kubectl takes them, unless the group is
// the core or the project's own.
func qualified(groups, resources []string) []string {
	var out []string
	for _, g := range groups {
		for _, r := range resources {
			if g != "" && g != sriovv1.GroupName {
				r += "." + g
			}
			out = append(out, r)
		}
	}
	return out
}

// granted is what install says of a right that the operator has to grant it.
const granted = "granted to what is deployed"

// operatorRights are the operator's, those that it grants with the roles that get them.
func operatorRights(rights []install.Right, groups []deployed) []right {
	var out []right
	for _, r := range rights {
		why := r.Why
		if why == granted {
			why = "to grant it: " + inCode(rolesWith(r.PolicyRule, groups))
		}
		out = append(out, right{qualified(r.APIGroups, r.Resources), r.ResourceNames, r.Verbs, why})
	}
	return out
}

func rolesWith(rule rbacv1.PolicyRule, groups []deployed) []string {
	var out []string
	for _, g := range groups {
		for _, r := range g.roles {
			if slices.ContainsFunc(r.rules, func(has rbacv1.PolicyRule) bool { return has.String() == rule.String() }) {
				out = append(out, r.name)
			}
		}
	}
	return out
}

// deployed is a group of what the operator deploys.
type deployed struct {
	title, about string
	roles        []role
	pods         []pod
}

// role is a role and who has it.
type role struct {
	kind, name, account string
	rules               []rbacv1.PolicyRule
	// commented are rights whose reasons are comments.
	commented []right
}

// rights are those of a role that is rendered, each with its reason.
func (r role) rights(t *testing.T) []right {
	t.Helper()
	var out []right
	for _, rule := range r.rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, resource := range rule.Resources {
			for _, name := range names {
				one := rbacv1.PolicyRule{APIGroups: rule.APIGroups, Resources: []string{resource}, Verbs: rule.Verbs}
				if name != "" {
					one.ResourceNames = []string{name}
				}
				out = append(out, r.reasoned(t, one)...)
			}
		}
	}
	return out
}

// reasoned are the rights that a rule about one thing gives, those together that have one
// reason.
func (r role) reasoned(t *testing.T, rule rbacv1.PolicyRule) []right {
	t.Helper()
	var out []right
	reasons := operand.Reasons()
	for i, key := range operand.Rights(r.kind+"/"+r.name, []rbacv1.PolicyRule{rule}) {
		why, verb := reasons[key], rule.Verbs[i]
		if why == "" {
			t.Errorf("%s has no reason", key)
		}
		if n := len(out); n > 0 && out[n-1].why == why {
			out[n-1].verbs = append(out[n-1].verbs, verb)
			continue
		}
		out = append(out, right{qualified(rule.APIGroups, rule.Resources), rule.ResourceNames, []string{verb}, why})
	}
	return out
}

// operands are the groups with everything on, on OpenShift: its rules are those of other
// clusters and one more.
func operands(t *testing.T) []deployed {
	t.Helper()
	settings := operand.Settings{
		Namespace: "sriov-network-operator", Platform: operand.OpenShift, Certificates: operand.Certificates{Source: operand.ServiceCA},
		Images: operand.Images{
			ConfigDaemon: "daemon", DevicePlugin: "plugin", Injector: "injector", Webhook: "webhook", Exporter: "exporter", RBACProxy: "proxy",
			SriovCNI: "cni", IBCNI: "cni", OVSCNI: "cni", RDMACNI: "cni",
		},
		Kinds:   operand.Kinds{NetworkAttachmentDefinition: true, ServiceMonitor: true, PrometheusRule: true, ValidatingAdmissionPolicy: true},
		Metrics: operand.Metrics{PrometheusNamespace: "monitoring"},
	}
	objects, problems := operand.Render(sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{
		EnableInjector: true, EnableOperatorWebhook: true, ConfigurationMode: sriovv1.ConfigurationModeSystemd,
		FeatureGates: map[string]bool{sriovv1.FeatureMetricsExporter: true},
	}}, settings)
	for _, p := range problems {
		t.Errorf("what is described cannot be deployed so: %+v", p)
	}
	var out []deployed
	for _, g := range operand.Groups() {
		d := about(g)
		d.take(settings.Namespace, objects.Of(g))
		out = append(out, d)
	}
	return out
}

// about is what is said of a group before its roles.
func about(g operand.Group) deployed {
	const limits = " [Admission policies](admission.md#what-daemons-and-device-plugins-may-write) hold it to "
	switch g {
	case operand.ConfigDaemon:
		return deployed{title: "The config daemon", about: "Always deployed." + limits + "its own node, its own node state without the spec, and the device plugin's pods."}
	case operand.DevicePlugin:
		return deployed{title: "The device plugin", about: "Always deployed; the role over pods unless `blockDevicePluginUntilConfigured` is off." + limits + "its own pod."}
	case operand.Injector:
		return deployed{title: "The resources injector", about: "With `enableInjector`."}
	case operand.Exporter:
		return deployed{title: "The metrics exporter", about: "With the feature gate `metricsExporter`. The role for Prometheus is called " +
			"`sriov-network-metrics-exporter-prometheus` in `kube-system` and in Prometheus' own namespace, where there may be one of the usual name."}
	case operand.Webhook:
		return deployed{title: "The operator's webhook", about: "With `enableOperatorWebhook`. It may write nothing."}
	}
	return deployed{title: g.String()}
}

// take notes the roles and pods of a group that is deployed into a namespace.
func (d *deployed) take(namespace string, of operand.Deployment) {
	accounts := map[string]string{}
	bound := func(to rbacv1.RoleRef, subject rbacv1.Subject) {
		account := "`" + subject.Name + "`"
		if subject.Namespace != namespace {
			account += " of the namespace `" + subject.Namespace + "`"
		}
		accounts[to.Kind+"/"+to.Name] = account
	}
	for _, o := range of.Apply {
		switch o := o.(type) {
		case *rbacv1.RoleBinding:
			bound(o.RoleRef, o.Subjects[0])
		case *rbacv1.ClusterRoleBinding:
			bound(o.RoleRef, o.Subjects[0])
		case *rbacv1.Role:
			d.roles = append(d.roles, role{kind: "Role", name: o.Name, rules: o.Rules})
		case *rbacv1.ClusterRole:
			d.roles = append(d.roles, role{kind: "ClusterRole", name: o.Name, rules: o.Rules})
		case *appsv1.DaemonSet:
			d.pods = append(d.pods, pod{o.Name, o.Spec.Template.Spec})
		case *appsv1.Deployment:
			d.pods = append(d.pods, pod{o.Name, o.Spec.Template.Spec})
		}
	}
	for i := range d.roles {
		d.roles[i].account = accounts[d.roles[i].kind+"/"+d.roles[i].name]
	}
}

// pod is what pods of a name may do to their node.
type pod struct {
	name string
	spec corev1.PodSpec
}

// row is a line about the pod, if it has a part of its node.
func (p pod) row(t *testing.T, b *strings.Builder) {
	t.Helper()
	var privileged, shares, folders []string
	for _, c := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
		if c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged {
			privileged = append(privileged, c.Name)
		}
	}
	if p.spec.HostNetwork {
		shares = append(shares, "network")
	}
	if p.spec.HostPID {
		shares = append(shares, "processes")
	}
	for _, v := range p.spec.Volumes {
		if v.HostPath != nil {
			folders = append(folders, v.HostPath.Path)
		}
	}
	if len(privileged)+len(shares)+len(folders) > 0 {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", p.name, inCode(privileged), strings.Join(shares, ", "), inCode(folders))
		return
	}
	if user := p.spec.SecurityContext; user == nil || user.RunAsNonRoot == nil || !*user.RunAsNonRoot {
		t.Errorf("%s may be root", p.name)
	}
}

// viewers are the roles for people, with the comments as reasons.
func viewers(t *testing.T) []role {
	t.Helper()
	const name = "deploy/viewer.yaml"
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	var out []role
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc struct {
			Kind     string
			Metadata struct{ Name string }
			Rules    []yaml.Node
		}
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := role{kind: doc.Kind, name: doc.Metadata.Name}
		for _, node := range doc.Rules {
			var rule struct {
				APIGroups        []string `yaml:"apiGroups"`
				Resources, Verbs []string
			}
			if err := node.Decode(&rule); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			why := strings.Trim(node.HeadComment, "# .")
			if why == "" {
				t.Errorf("%s:%d: the rule has no comment that says what it is for", name, node.Line)
			}
			r.commented = append(r.commented, right{resources: qualified(rule.APIGroups, rule.Resources), verbs: rule.Verbs, why: why})
		}
		out = append(out, r)
	}
}
