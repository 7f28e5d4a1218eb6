// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// lookAgain is how long to wait between looks for kinds that are not served.
const lookAgain = 5 * time.Second

// needed are the kinds that the controllers cannot work without.
func needed() []string {
	return []string{
		sriovv1.KindSriovNetworkNodePolicy, sriovv1.KindSriovNetworkNodeState,
		sriovv1.KindSriovNetworkPoolConfig, sriovv1.KindSriovOperatorConfig,
		sriovv1.KindSriovNetwork, sriovv1.KindSriovIBNetwork, sriovv1.KindOVSNetwork,
	}
}

// awaitKinds returns once the API server serves the kinds that are needed. It says which
// are missing whenever that changes.
func awaitKinds(ctx context.Context, config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for the API server's kinds: %w", err)
	}
	logger := ctrl.LoggerFrom(ctx).WithName("kinds")
	said := ""
	return wait.PollUntilContextCancel(ctx, lookAgain, true, func(ctx context.Context) (bool, error) {
		missing, err := missingKinds(ctx, client)
		says := strings.Join(missing, ", ")
		switch {
		case err != nil:
			logger.Error(err, "the API server's kinds cannot be read; trying again", "after", lookAgain.String())
			return false, nil
		case len(missing) > 0 && says != said:
			logger.Info("waiting for kinds that the API server does not serve; install the CRDs", "group", sriovv1.GroupName, "missing", says)
		}
		said = says
		return len(missing) == 0, nil
	})
}

// missingKinds are the needed kinds that the API server does not serve.
func missingKinds(ctx context.Context, client *discovery.DiscoveryClient) ([]string, error) {
	list, err := client.ServerResourcesForGroupVersionWithContext(ctx, sriovv1.SchemeGroupVersion.String())
	if apierrors.IsNotFound(err) {
		return needed(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the kinds of %s: %w", sriovv1.SchemeGroupVersion, err)
	}
	missing := needed()
	for _, r := range list.APIResources {
		missing = slices.DeleteFunc(missing, func(kind string) bool { return kind == r.Kind })
	}
	return missing, nil
}
