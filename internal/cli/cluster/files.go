// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Files are a cluster that was written down, as kubectl get -o yaml does.
type Files struct {
	objects Objects
	pods    []corev1.Pod
}

// Open reads files. Objects of other namespaces than the operator's, and of kinds that
// do not count, are left out; pods may be anywhere.
func Open(files []string, namespace string) (*Files, error) {
	f := &Files{}
	for _, name := range files {
		if err := f.read(name, namespace); err != nil {
			return nil, fmt.Errorf("read the cluster's objects from %s: %w", name, err)
		}
	}
	f.objects.sort()
	return f, nil
}

func (f *Files) read(name, namespace string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
	for {
		var doc json.RawMessage
		err := decoder.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(doc) == 0 || string(doc) == "null":
			continue // comments alone
		}
		if err := f.take(doc, namespace); err != nil {
			return err
		}
	}
}

// item is as much of any object as tells what it is; of a list, its items.
type item struct {
	metav1.TypeMeta `json:",inline"`

	Metadata metav1.ObjectMeta `json:"metadata"`
	Items    []json.RawMessage `json:"items"`
}

func (f *Files) take(doc json.RawMessage, namespace string) error {
	var is item
	if err := json.Unmarshal(doc, &is); err != nil {
		return err
	}
	for _, one := range is.Items {
		if err := f.take(one, namespace); err != nil {
			return err
		}
	}
	var err error
	ours := is.APIVersion == sriovv1.SchemeGroupVersion.String() && is.Metadata.Namespace == namespace
	o := &f.objects
	switch {
	case is.APIVersion == "v1" && is.Kind == "Node":
		o.node(&is.Metadata)
	case is.APIVersion == "v1" && is.Kind == "Pod":
		f.pods, err = add(f.pods, doc)
	case is.APIVersion == "v1" && is.Kind == "ConfigMap" && is.Metadata.Namespace == namespace:
		var cm corev1.ConfigMap
		err = json.Unmarshal(doc, &cm)
		o.configMap(&cm)
	case !ours:
	case is.Kind == sriovv1.KindSriovNetworkNodePolicy:
		o.Policies, err = add(o.Policies, doc)
	case is.Kind == sriovv1.KindSriovNetworkPoolConfig:
		o.Pools, err = add(o.Pools, doc)
	case is.Kind == sriovv1.KindSriovNetworkNodeState:
		o.States, err = add(o.States, doc)
	case is.Kind == sriovv1.KindSriovOperatorConfig && is.Metadata.Name == sriovv1.DefaultConfigName:
		o.Config = &sriovv1.SriovOperatorConfig{}
		err = json.Unmarshal(doc, o.Config)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", is.Kind, is.Metadata.Name, err)
	}
	return nil
}

func add[T any](to []T, doc json.RawMessage) ([]T, error) {
	var one T
	err := json.Unmarshal(doc, &one)
	return append(to, one), err
}

// Objects are those of the files. With only, of the node states that of this node alone.
func (f *Files) Objects(_ context.Context, only string) (Objects, error) {
	o := f.objects
	if only != "" {
		o.States = slices.DeleteFunc(slices.Clone(o.States), func(s sriovv1.SriovNetworkNodeState) bool { return s.Name != only })
	}
	return o, nil
}

// Pods are the pods on these nodes.
func (f *Files) Pods(_ context.Context, nodes []string) ([]corev1.Pod, error) {
	var out []corev1.Pod
	for i := range f.pods {
		if slices.Contains(nodes, f.pods[i].Spec.NodeName) {
			out = append(out, f.pods[i])
		}
	}
	return out, nil
}
