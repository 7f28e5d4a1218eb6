// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package pluginconfig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// annotated is a merge patch of annotations; nil removes one.
type annotated struct {
	Metadata struct {
		Annotations map[string]*string `json:"annotations"`
	} `json:"metadata"`
}

// mark tells the node's daemon, on the node state, that its device plugin would read
// something else than before. So a change that concerns the plugin alone reaches it, and
// the daemon need not watch what all nodes read.
func (s *Store) mark(ctx context.Context, name string) error {
	want, known := s.markOf(name)
	if !known {
		return nil
	}
	var state sriovv1.SriovNetworkNodeState
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.options.Namespace, Name: name}, &state); err != nil {
		return client.IgnoreNotFound(err)
	}
	if got, has := state.Annotations[sriovv1.AnnotationDevicePluginConfig]; has == (want != nil) && (want == nil || got == *want) {
		return nil
	}
	var patch annotated
	patch.Metadata.Annotations = map[string]*string{sriovv1.AnnotationDevicePluginConfig: want}
	text, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("marshal an annotation of node state %s: %w", name, err)
	}
	// With its status a node state may have a hundred kilobytes, which nobody would read.
	target := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: s.options.Namespace, Name: name}}
	target.SetGroupVersionKind(sriovv1.SchemeGroupVersion.WithKind(sriovv1.KindSriovNetworkNodeState))
	if err := client.IgnoreNotFound(s.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, text), fieldManager)); err != nil {
		return fmt.Errorf("annotate node state %s: %w", name, err)
	}
	return nil
}

// markOf tells apart what is stored for a node; nil when that is nothing, and false when
// it is not known yet.
func (s *Store) markOf(node string) (*string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, known := s.stored[node]
	if text == "" {
		return nil, known
	}
	sum := sha256.Sum256([]byte(text))
	mark := hex.EncodeToString(sum[:8])
	return &mark, known
}
