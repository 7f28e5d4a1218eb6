// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
)

// versions are those of all objects that a basis is made from, by kind and name. Two bases
// of the same versions are the same.
type versions map[string]version

// version is all of an object that counts.
type version struct {
	uid types.UID
	// generation counts the specs of objects that have one. ConfigMaps have none, and of
	// them the contents count.
	generation int64
	contents   *corev1.ConfigMap
}

func (v version) same(other version) bool {
	return v.uid == other.uid && v.generation == other.generation && equality.Semantic.DeepEqual(v.contents, other.contents)
}

func versionsOf(o objects) versions {
	out := versions{}
	add := func(kind string, m metav1.ObjectMeta) {
		out[kind+" "+m.Name] = version{uid: m.UID, generation: m.Generation}
	}
	for i := range o.policies {
		add(sriovv1.KindSriovNetworkNodePolicy, o.policies[i].ObjectMeta)
	}
	for i := range o.pools {
		add(sriovv1.KindSriovNetworkPoolConfig, o.pools[i].ObjectMeta)
	}
	if o.config != nil {
		add(sriovv1.KindSriovOperatorConfig, o.config.ObjectMeta)
	}
	for i := range o.configMaps {
		if cm := &o.configMaps[i]; fleet.Reads(cm.Name, cm.Labels) {
			counts := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: cm.Labels}, Data: cm.Data, BinaryData: cm.BinaryData}
			out["ConfigMap "+cm.Name] = version{uid: cm.UID, contents: counts}
		}
	}
	return out
}

// since are the objects that are new, changed or gone since others, sorted.
func (v versions) since(others versions) []string {
	var out []string
	for name, is := range v {
		if was, ok := others[name]; !ok || !was.same(is) {
			out = append(out, name)
		}
	}
	for name := range others {
		if _, ok := v[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// listed are the first names, and how many there are besides.
func listed(names []string) string {
	const most = 5
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
