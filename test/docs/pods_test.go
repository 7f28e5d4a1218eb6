// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	utilyaml "sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// offers are what a page's objects offer to its pods.
type offers struct {
	// resources are those of policies, without prefix.
	resources []string
	// networks are the attachments by namespace and name, with their resources.
	networks map[string]string
}

// note takes in the policies and networks of a block.
func (o *offers) note(text string) error {
	if o.networks == nil {
		o.networks = map[string]string{}
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Spec     struct {
				ResourceName     string `yaml:"resourceName"`
				NetworkNamespace string `yaml:"networkNamespace"`
			}
		}
		if err := decoder.Decode(&doc); err != nil {
			return endOf(err)
		}
		switch doc.Kind {
		case sriovv1.KindSriovNetworkNodePolicy:
			o.resources = append(o.resources, doc.Spec.ResourceName)
		case sriovv1.KindSriovNetwork, sriovv1.KindSriovIBNetwork, sriovv1.KindOVSNetwork:
			namespace := doc.Metadata.Namespace
			if doc.Spec.NetworkNamespace != "" {
				namespace = doc.Spec.NetworkNamespace
			}
			o.networks[namespace+"/"+doc.Metadata.Name] = doc.Spec.ResourceName
		}
	}
}

// Annotations by which a pod names its networks.
const (
	annotationNetworks = "k8s.v1.cni.cncf.io/networks"
	annotationDefault  = "v1.multus-cni.io/default-network"
)

// wrong is what keeps a pod from its VFs: a network that nothing before it on the page
// makes, a resource that no policy there brings, or fewer VFs than networks.
func (o *offers) wrong(text string) []string {
	var pod corev1.Pod
	if err := utilyaml.UnmarshalStrict([]byte(text), &pod); err != nil {
		return []string{err.Error()}
	}
	var out []string
	wanted := map[string]int64{}
	for _, key := range []string{annotationDefault, annotationNetworks} {
		names, err := attachments(pod.Annotations[key], pod.Namespace)
		if err != nil {
			out = append(out, fmt.Sprintf("annotation %s: %v", key, err))
		}
		for _, name := range names {
			resource, ok := o.networks[name]
			if !ok {
				out = append(out, fmt.Sprintf("nothing makes the network attachment %s", name))
			}
			wanted[resource]++
		}
	}
	has := map[string]int64{}
	for i := range pod.Spec.Containers {
		asks := pod.Spec.Containers[i].Resources
		for name, limit := range asks.Limits {
			_, resource, extended := strings.Cut(string(name), "/")
			if request := asks.Requests[name]; request.Cmp(limit) != 0 && extended {
				out = append(out, fmt.Sprintf("request and limit of %s differ", name))
			}
			if extended && !slices.Contains(o.resources, resource) {
				out = append(out, fmt.Sprintf("no policy brings the resource %s", resource))
			}
			has[resource] += limit.Value()
		}
	}
	for resource, n := range wanted {
		if has[resource] != n {
			out = append(out, fmt.Sprintf("%d networks of the resource %s and %d VFs", n, resource, has[resource]))
		}
	}
	slices.Sort(out)
	return out
}

// attachments are the networks that an annotation names, by namespace and name: with
// commas between them, or as a list in JSON.
func attachments(text, namespace string) ([]string, error) {
	var out []string
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		var list []struct{ Name, Namespace string }
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return nil, err
		}
		for _, n := range list {
			out = append(out, cmp.Or(n.Namespace, namespace)+"/"+n.Name)
		}
		return out, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if name != "" && !strings.Contains(name, "/") {
			name = namespace + "/" + name
		}
		if name != "" {
			out = append(out, name)
		}
	}
	return out, nil
}

func TestAPodNeedsItsNetworksAndVFs(t *testing.T) {
	var o offers
	const objects = `kind: SriovNetworkNodePolicy
spec: {resourceName: vfs}
---
kind: SriovNetwork
metadata: {name: net, namespace: kube-system}
spec: {resourceName: vfs, networkNamespace: default}
`
	if err := o.note(objects); err != nil {
		t.Fatal(err)
	}
	const pod = `apiVersion: v1
kind: Pod
metadata: {name: p, namespace: default, annotations: {k8s.v1.cni.cncf.io/networks: "net"}}
spec: {containers: [{name: c, image: i, resources: {requests: {a.b/vfs: "1"}, limits: {a.b/vfs: "1"}}}]}
`
	for name, c := range map[string]struct{ was, is, want string }{
		"all is there":                  {},
		"a network that nobody makes":   {`"net"`, `"nat"`, "nothing makes the network attachment default/nat"},
		"a network in another place":    {"namespace: default", "namespace: other", "nothing makes the network attachment other/net"},
		"a resource that nobody brings": {"a.b/vfs", "a.b/vf", "no policy brings the resource vf"},
		"two networks and one VF":       {`"net"`, `"net, default/net"`, "2 networks of the resource vfs and 1 VFs"},
		"a limit without its request":   {`requests: {a.b/vfs: "1"}, `, "", "request and limit of a.b/vfs differ"},
		"a list of networks":            {`"net"`, `'[{"name": "net", "namespace": "default"}]'`, ""},
		"a list of other networks":      {`"net"`, `'[{"name": "net", "namespace": "other"}]'`, "nothing makes the network attachment other/net"},
		"a list that is none":           {`"net"`, `'[{"name": "net"'`, "unexpected end"},
		"a field that is none":          {"image:", "picture:", "picture"},
	} {
		got := strings.Join(o.wrong(strings.ReplaceAll(pod, c.was, c.is)), "; ")
		if c.was == "" {
			got = strings.Join(o.wrong(pod), "; ")
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
