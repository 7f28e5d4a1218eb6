// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// door writes the specs of node states. It asks the API server to answer with metadata
// alone: a node state with its status may have a hundred kilobytes, which both sides would
// otherwise write and read for nothing.
type door struct{ api rest.Interface }

const (
	// nodeStates is what the API's paths call node states.
	nodeStates = "sriovnetworknodestates"
	// metadataAlone is an Accept header (k8s.io/apiserver, pkg/endpoints/handlers,
	// response.go). A server that cannot do it sends the object, of which the metadata is
	// read.
	metadataAlone = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
)

func newDoor(mgr ctrl.Manager) (door, error) {
	gvk := sriovv1.SchemeGroupVersion.WithKind(sriovv1.KindSriovNetworkNodeState)
	api, err := apiutil.RESTClientForGVK(gvk, true, false, mgr.GetConfig(), serializer.NewCodecFactory(mgr.GetScheme()), mgr.GetHTTPClient())
	if err != nil {
		return door{}, fmt.Errorf("make a client for node states: %w", err)
	}
	return door{api: api}, nil
}

// send makes the node state, or updates the version of it that is given, and returns the
// version that it has then.
func (d door) send(ctx context.Context, want *sriovv1.SriovNetworkNodeState) (string, error) {
	want.SetGroupVersionKind(sriovv1.SchemeGroupVersion.WithKind(sriovv1.KindSriovNetworkNodeState))
	body, err := json.Marshal(want)
	if err != nil {
		return "", fmt.Errorf("marshal node state %s: %w", want.Name, err)
	}
	what, request := "create", d.api.Post()
	if want.ResourceVersion != "" {
		what, request = "update", d.api.Put().Name(want.Name)
	}
	answer, err := request.Namespace(want.Namespace).Resource(nodeStates).Param("fieldManager", string(fieldManager)).Body(body).
		SetHeader("Content-Type", runtime.ContentTypeJSON).SetHeader("Accept", metadataAlone).Do(ctx).Raw()
	if err != nil {
		return "", fmt.Errorf("%s node state %s: %w", what, want.Name, err)
	}
	var got metav1.PartialObjectMetadata
	if err := json.Unmarshal(answer, &got); err != nil {
		return "", fmt.Errorf("read the answer to the %s of node state %s: %w", what, want.Name, err)
	}
	return got.ResourceVersion, nil
}
