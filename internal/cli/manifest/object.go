// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/nearest"
)

// kinds are the kinds that are read, each as an empty object.
func kinds() map[string]runtime.Object {
	return map[string]runtime.Object{
		sriovv1.KindOVSNetwork:             &sriovv1.OVSNetwork{},
		sriovv1.KindSriovIBNetwork:         &sriovv1.SriovIBNetwork{},
		sriovv1.KindSriovNetwork:           &sriovv1.SriovNetwork{},
		sriovv1.KindSriovNetworkNodePolicy: &sriovv1.SriovNetworkNodePolicy{},
		sriovv1.KindSriovNetworkNodeState:  &sriovv1.SriovNetworkNodeState{},
		sriovv1.KindSriovNetworkPoolConfig: &sriovv1.SriovNetworkPoolConfig{},
		sriovv1.KindSriovOperatorConfig:    &sriovv1.SriovOperatorConfig{},
	}
}

// KindConfigMap is the one kind of another group that is read: ConfigMaps that
// package claims selects.
const KindConfigMap = "ConfigMap"

// listSuffix ends the kinds of lists.
const listSuffix = "List"

// object reads one object, or those of a list.
func (s *Set) object(at Source, node *yaml.Node) {
	if isList(node) {
		s.list(at, node)
		return
	}
	s.single(at, node)
}

// single reads one object.
func (s *Set) single(at Source, node *yaml.Node) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		s.fault(at, "it is no object: a mapping with apiVersion, kind, metadata and spec is needed", "")
		return
	}
	apiVersion, kind := scalar(child(node, "apiVersion")), scalar(child(node, "kind"))
	group, version, _ := strings.Cut(apiVersion, "/")
	switch {
	case apiVersion == "" || kind == "":
		s.fault(at, "apiVersion or kind is missing", fmt.Sprintf("an object of ours begins with apiVersion: %s", sriovv1.SchemeGroupVersion))
	case isList(node):
		s.fault(at, "it is a list in a list", "put its items into the outer list")
	case apiVersion == "v1" && kind == KindConfigMap && claims.Selects(name(node), labels(node)):
		s.take(at, node, kind, &corev1.ConfigMap{})
	case group != sriovv1.GroupName:
		s.Notes = append(s.Notes, Note{Source: at, Text: fmt.Sprintf("skipped: %s %s is not ours", apiVersion, label(kind, "", name(node)))})
	case version != sriovv1.Version:
		s.fault(at, fmt.Sprintf("apiVersion %s: the group has no such version", apiVersion), "write "+sriovv1.SchemeGroupVersion.String())
	default:
		s.known(at, node, kind)
	}
}

// isList reports whether an object is a list of any kind, or of one of ours.
func isList(node *yaml.Node) bool {
	apiVersion := scalar(child(node, "apiVersion"))
	group, _, _ := strings.Cut(apiVersion, "/")
	item, list := strings.CutSuffix(scalar(child(node, "kind")), listSuffix)
	return list && (item == "" && apiVersion == "v1" || group == sriovv1.GroupName && kinds()[item] != nil)
}

func (s *Set) list(at Source, node *yaml.Node) {
	items := child(node, "items")
	if items == nil || items.Kind != yaml.SequenceNode {
		s.fault(at, "the list has no items", "")
		return
	}
	for _, item := range items.Content {
		at.Line = item.Line
		s.single(at, item)
	}
}

// known reads an object of our group.
func (s *Set) known(at Source, node *yaml.Node, kind string) {
	value := kinds()[kind]
	if value == nil {
		s.fault(at, fmt.Sprintf("kind %s: the group %s has no such kind", kind, sriovv1.GroupName), nearest.DidYouMean(kind, slices.Collect(maps.Keys(kinds()))))
		return
	}
	s.take(at, node, kind, value)
}

// take reads an object into the value.
func (s *Set) take(at Source, node *yaml.Node, kind string, value runtime.Object) {
	meta := child(node, "metadata")
	o := Object{Source: at, Kind: kind, Name: name(node), Namespace: scalar(child(meta, "namespace")), Value: value, node: node}
	c := checker{object: o, budget: maxNodes}
	c.value(node, reflect.TypeOf(value).Elem(), "")
	if len(c.problems) == 0 {
		c.decode()
	}
	if first, twice := s.Find(kind, o.Namespace, o.Name); twice && o.Name != "" {
		c.say(meta, "metadata.name", fmt.Sprintf("the object is given twice, first in %s", first.Source), "remove one of them")
	}
	s.Problems = append(s.Problems, c.problems...)
	if len(c.problems) == 0 {
		s.Objects = append(s.Objects, o)
	}
}

// decode fills the object's value in.
func (c *checker) decode() {
	var tree any
	if err := c.object.node.Decode(&tree); err != nil {
		cause, _ := syntax(err)
		c.say(c.object.node, "", cause, "")
		return
	}
	text, err := json.Marshal(tree)
	if err == nil {
		err = json.Unmarshal(text, c.object.Value)
	}
	if err != nil {
		c.say(c.object.node, "", err.Error(), "")
	}
}

// labels are an object's labels, those that are text.
func labels(node *yaml.Node) map[string]string {
	out := map[string]string{}
	if tree := child(child(node, "metadata"), "labels"); tree != nil {
		for i := 0; i+1 < len(tree.Content); i += 2 {
			out[tree.Content[i].Value] = scalar(tree.Content[i+1])
		}
	}
	return out
}

func name(node *yaml.Node) string { return scalar(child(child(node, "metadata"), "name")) }

// Meta reads the first object of one kind from a file, its metadata alone.
func Meta(file string, apiVersion, kind string) (metav1.ObjectMeta, error) {
	var meta metav1.ObjectMeta
	docs, err := documents(file)
	if err != nil {
		return meta, err
	}
	for _, doc := range docs {
		if scalar(child(doc, "apiVersion")) != apiVersion || scalar(child(doc, "kind")) != kind {
			continue
		}
		var tree struct {
			Metadata map[string]any `yaml:"metadata"`
		}
		if err := doc.Decode(&tree); err != nil {
			return meta, fmt.Errorf("%s:%d: %w", file, doc.Line, err)
		}
		text, err := json.Marshal(tree.Metadata)
		if err != nil {
			return meta, fmt.Errorf("%s:%d: metadata: %w", file, doc.Line, err)
		}
		if err := json.Unmarshal(text, &meta); err != nil {
			return meta, fmt.Errorf("%s:%d: metadata: %w", file, doc.Line, err)
		}
		return meta, nil
	}
	return meta, fmt.Errorf("%s: there is no %s (apiVersion %s) in it", file, kind, apiVersion)
}
