// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command sriov-network-operator renders what every node should be from policies, and
// tells every policy what became of it.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/loglevel"
	"github.com/kubeovn/sriov-network-operator/internal/operator/drain"
	"github.com/kubeovn/sriov-network-operator/internal/operator/meter"
	"github.com/kubeovn/sriov-network-operator/internal/operator/network"
	"github.com/kubeovn/sriov-network-operator/internal/operator/nodepolicy"
	"github.com/kubeovn/sriov-network-operator/internal/operator/operatorconfig"
	"github.com/kubeovn/sriov-network-operator/internal/operator/pluginconfig"
	"github.com/kubeovn/sriov-network-operator/internal/program"
)

func main() {
	os.Exit(program.Run(context.Background(), "sriov-network-operator", os.Stderr, func(ctx context.Context) error {
		return start(ctx, os.Args[1:])
	}))
}

// start reads the options and runs the operator until the context ends, or does what its
// first argument asks for.
func start(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == cleanupCommand {
		return startCleanup(ctx, args[1:])
	}
	o, err := readOptions(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	verbosity := loglevel.New(o.Verbosity)
	logger := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: verbosity}))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	logger.Info("starting", "options", o)
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	return run(ctx, config, o, func(wanted int) { verbosity.Follow(logger.Info, wanted) })
}

// startCleanup reads the options and prepares the end of the operator.
func startCleanup(ctx context.Context, args []string) error {
	o, err := readCleanupOptions(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	return cleanup(ctx, config, o)
}

// run runs the operator against an API server until the context ends. setLogLevel is told
// the level that the operator configuration asks for.
func run(ctx context.Context, config *rest.Config, o options, setLogLevel func(int)) error {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the API server shares itself out fairly
	measure, err := meter.Wrap(metrics.Registry, time.Now)
	if err != nil {
		return err
	}
	config.Wrap(measure)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sriovv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("register the kinds: %w", err)
		}
	}
	mgr, err := ctrl.NewManager(config, managerOptions(o, scheme))
	if err != nil {
		return fmt.Errorf("make the manager: %w", err)
	}
	for _, add := range []func(string, healthz.Checker) error{mgr.AddHealthzCheck, mgr.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return fmt.Errorf("add the health endpoints: %w", err)
		}
	}
	// Controllers begin once this replica leads and the kinds are served, so that an
	// operator that is installed before its CRDs waits and says so.
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		if err := awaitKinds(ctx, config); err != nil {
			return err
		}
		return addControllers(ctx, mgr, o, setLogLevel)
	}))
	if err != nil {
		return fmt.Errorf("add the start of the controllers: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the manager: %w", err)
	}
	return nil
}

func addControllers(ctx context.Context, mgr ctrl.Manager, o options, setLogLevel func(int)) error {
	settings := o.Operands
	settings.Namespace = o.Namespace
	err := operatorconfig.Add(ctx, mgr, operatorconfig.Options{
		Settings: settings, SetLogLevel: setLogLevel, Now: time.Now, Random: rand.Reader,
	})
	if err != nil {
		return err
	}
	claimed := &network.Claimed{}
	err = network.SetupWithManager(mgr, network.Options{
		Namespace: o.Namespace, ResourcePrefix: o.Operands.ResourcePrefix, Now: time.Now, Claimed: claimed,
	})
	if err != nil {
		return err
	}
	plugins, err := pluginconfig.Add(mgr, pluginconfig.Options{Namespace: o.Namespace, Workers: o.Workers, Now: time.Now})
	if err != nil {
		return err
	}
	err = nodepolicy.Add(mgr, nodepolicy.Options{
		Namespace: o.Namespace, StaleDelay: o.StaleDelay, Workers: o.Workers, Now: time.Now, Registry: metrics.Registry,
		Claimed: claimed.Set,
	}, plugins)
	if err != nil {
		return err
	}
	return drain.Add(mgr, drain.Options{
		Namespace: o.Namespace, ResourcePrefix: o.Operands.ResourcePrefix, Workers: o.Workers,
		Deadline: o.DrainDeadline, Retry: drain.DefaultRetry, Now: time.Now, Registry: metrics.Registry,
	})
}

// managerOptions restrict what is cached: objects of the operator's namespace, of nodes
// what is read of them, and of ConfigMaps the contents of those that are read.
func managerOptions(o options, scheme *runtime.Scheme) ctrl.Options {
	grace := 10 * time.Second
	return ctrl.Options{
		Scheme: scheme,
		Logger: ctrl.Log,
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{o.Namespace: {}},
			DefaultTransform:  cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Node{}:                   {Transform: trimNode},
				&corev1.ConfigMap{}:              {Transform: trimConfigMap},
				&sriovv1.SriovNetworkNodeState{}: {Transform: trimNodeState},
			},
		},
		Metrics: server.Options{
			BindAddress: o.MetricsAddress, SecureServing: true, CertDir: o.MetricsCerts, FilterProvider: authenticated,
		},
		HealthProbeBindAddress:        o.HealthAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              "sriov-network-operator." + sriovv1.GroupName,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &grace,
	}
}
