// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Watch tells a controller when one of the Secrets changes, so that one that was deleted
// or spoilt is mended at once. Each is watched by its name: for that the right to list
// and watch these names is enough. What the Secrets hold is not kept in memory.
func Watch(mgr ctrl.Manager, namespace string, names []string, h handler.EventHandler) ([]source.Source, error) {
	var out []source.Source
	for _, name := range names {
		c, err := cache.New(mgr.GetConfig(), cache.Options{
			Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
			ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: {
				Namespaces: map[string]cache.Config{namespace: {FieldSelector: fields.OneTermEqualSelector("metadata.name", name)}},
				Transform:  onlyMetadata,
			}},
		})
		if err == nil {
			err = mgr.Add(c)
		}
		if err != nil {
			return nil, fmt.Errorf("watch the Secret %s/%s: %w", namespace, name, err)
		}
		out = append(out, source.Kind(c, client.Object(&corev1.Secret{}), h))
	}
	return out, nil
}

// onlyMetadata forgets what a Secret holds.
func onlyMetadata(object any) (any, error) {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return object, nil
	}
	return &corev1.Secret{TypeMeta: secret.TypeMeta, ObjectMeta: secret.ObjectMeta, Type: secret.Type}, nil
}
