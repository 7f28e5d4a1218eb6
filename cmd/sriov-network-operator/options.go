// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/drain"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// The variables of the environment that are read. A flag counts more.
const (
	envNamespace  = "NAMESPACE"
	envStaleDelay = "STALE_NODE_STATE_CLEANUP_DELAY_MINUTES"
)

// defaultStaleMinutes is how long the state of a node that is gone is kept.
const defaultStaleMinutes = 30

// defaultWorkers is how many nodes are written at the same time.
const defaultWorkers = 16

// options are all settings of the program.
type options struct {
	Namespace      string        `json:"namespace"`
	MetricsAddress string        `json:"metricsAddress"`
	MetricsCerts   string        `json:"metricsCerts"`
	HealthAddress  string        `json:"healthAddress"`
	LeaderElect    bool          `json:"leaderElect"`
	Workers        int           `json:"workers"`
	Verbosity      int           `json:"verbosity"`
	StaleDelay     time.Duration `json:"staleDelay"`
	DrainDeadline  time.Duration `json:"drainDeadline"`
	// Operands is how things are deployed.
	Operands operand.Settings `json:"operands"`
}

// readOptions reads flags, and the environment for what no flag says. Help and errors of
// flags go to the writer.
func readOptions(args []string, env func(string) string, out io.Writer) (options, error) {
	o := options{Namespace: env(envNamespace), StaleDelay: staleDelay(env(envStaleDelay))}
	if o.Namespace == "" {
		o.Namespace = sriovv1.DefaultNamespace
	}
	set := flag.NewFlagSet("sriov-network-operator", flag.ContinueOnError)
	set.SetOutput(out)
	set.StringVar(&o.Namespace, "namespace", o.Namespace, "namespace of the operator and its objects; also "+envNamespace)
	set.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8443", "where metrics are served with TLS to who may get the path /metrics; 0 serves none")
	set.StringVar(&o.MetricsCerts, "metrics-cert-dir", "", "folder with tls.crt and tls.key for metrics; without one the certificate is self-signed")
	set.StringVar(&o.HealthAddress, "health-probe-bind-address", ":8081", "where /healthz and /readyz are served; 0 serves none")
	set.BoolVar(&o.LeaderElect, "leader-elect", true, "let one replica of several work")
	set.IntVar(&o.Workers, "workers", defaultWorkers, "how many nodes are written at the same time")
	set.IntVar(&o.Verbosity, "v", 0, "how much is logged: 0 for changes and errors, 4 for more")
	set.DurationVar(&o.StaleDelay, "stale-node-state-delay", o.StaleDelay, "how long the state of a node that is gone is kept; 0 deletes it at once; also "+envStaleDelay)
	set.DurationVar(&o.DrainDeadline, "drain-deadline", drain.DefaultDeadline, "how long a drain may take before it is reported and gives its turn to a node that waits")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.Operands, err = readOperands(env); err != nil {
		return o, err
	}
	switch {
	case set.NArg() > 0:
		return o, fmt.Errorf("argument %q is not known; there are only flags", set.Arg(0))
	case len(validation.IsDNS1123Label(o.Namespace)) > 0:
		return o, fmt.Errorf("namespace %q is no name of a namespace", o.Namespace)
	case o.Workers < 1:
		return o, fmt.Errorf("workers %d: there must be at least one", o.Workers)
	case o.DrainDeadline <= 0:
		return o, fmt.Errorf("drain-deadline %v: a drain needs some time", o.DrainDeadline)
	}
	return o, nil
}

// staleDelay reads a number of minutes. What is none, or negative, is the default.
func staleDelay(text string) time.Duration {
	minutes, err := strconv.Atoi(text)
	if err != nil || minutes < 0 {
		minutes = defaultStaleMinutes
	}
	return time.Duration(minutes) * time.Minute
}
