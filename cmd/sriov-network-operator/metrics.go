// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubeovn/sriov-network-operator/internal/scrape"
)

// authenticated lets those read metrics whose token the API server knows and who may get
// the path.
func authenticated(config *rest.Config, client *http.Client) (server.Filter, error) {
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		guard, err := scrape.NewGuard(config, client, func(err error) { log.Error(err, "who asks for metrics cannot be told") })
		if err != nil {
			return nil, err
		}
		return guard.Before(next), nil
	}, nil
}
