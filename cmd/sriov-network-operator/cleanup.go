// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// cleanupCommand is the argument that asks for a cleanup.
const cleanupCommand = "cleanup"

// cleanupOptions are the settings of a cleanup.
type cleanupOptions struct {
	namespace string
	timeout   time.Duration
}

func readCleanupOptions(args []string, env func(string) string, out io.Writer) (cleanupOptions, error) {
	o := cleanupOptions{namespace: env(envNamespace)}
	if o.namespace == "" {
		o.namespace = sriovv1.DefaultNamespace
	}
	set := flag.NewFlagSet("sriov-network-operator "+cleanupCommand, flag.ContinueOnError)
	set.SetOutput(out)
	set.StringVar(&o.namespace, "namespace", o.namespace, "namespace of the operator configuration; also "+envNamespace)
	set.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long to wait until it is gone")
	return o, set.Parse(args)
}

// cleanup deletes the operator configuration and waits until the operator has removed
// what it had deployed and lets it go. It is for whoever uninstalls the operator, to do
// before.
func cleanup(ctx context.Context, config *rest.Config, o cleanupOptions) error {
	scheme := runtime.NewScheme()
	if err := sriovv1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("register the kinds: %w", err)
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	object := &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: sriovv1.DefaultConfigName}}
	if err := client.IgnoreNotFound(api.Delete(ctx, object)); err != nil {
		return fmt.Errorf("delete the operator configuration %s/%s: %w", o.namespace, object.Name, err)
	}
	err = wait.PollUntilContextTimeout(ctx, time.Second, o.timeout, true, func(ctx context.Context) (bool, error) {
		// An API server that does not answer now is asked again.
		return apierrors.IsNotFound(api.Get(ctx, client.ObjectKeyFromObject(object), object)), nil
	})
	if err != nil {
		return fmt.Errorf("the operator configuration %s/%s is still there after %s; see whether the operator runs: %w", o.namespace, object.Name, o.timeout, err)
	}
	return nil
}
