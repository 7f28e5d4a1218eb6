// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/daemon"
	"github.com/kubeovn/sriov-network-operator/internal/holders"
	"github.com/kubeovn/sriov-network-operator/internal/loglevel"
)

// The variables of the environment that are read. A flag counts more.
const (
	envNode            = "NODE_NAME"
	envNamespace       = "NAMESPACE"
	envAddress         = "HOST_IP"
	envKubeconfig      = "KUBECONFIG"
	envCluster         = "CLUSTER_TYPE"
	envExternalDrainer = "USE_EXTERNAL_DRAINER"
)

// hostFolder is where the daemon's pod sees the host.
const hostFolder = "/host"

// usualKubeletDir is the kubelet's folder, and podResources where it says in there which
// pods hold what.
const (
	usualKubeletDir = "/var/lib/kubelet"
	podResources    = "pod-resources/kubelet.sock"
)

// startOptions are the settings of start.
type startOptions struct {
	kubeconfig, node, namespace string
	// addrs are the node's own addresses.
	addrs []netip.Addr
	// host is where the host's root is, and kubelet the kubelet's folder on the host.
	host, kubelet string
	health        string
	// metrics is where metrics are served, and metricsCerts the folder of their certificate.
	metrics, metricsCerts string
	plugins               string
	verbosity             int
	cluster               string
	external              bool
	// atBoot lets a service of systemd restore the machine at boot.
	atBoot bool
}

// readStart reads flags, and the environment for what no flag says.
func readStart(args []string, env func(string) string, errs io.Writer) (startOptions, error) {
	o := startOptions{
		kubeconfig: env(envKubeconfig), node: env(envNode), namespace: cmp.Or(env(envNamespace), sriovv1.DefaultNamespace),
		cluster: env(envCluster), external: strings.EqualFold(env(envExternalDrainer), "true"),
	}
	set := flags("start", errs)
	set.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "file that says where the API server is; also "+envKubeconfig+"; without one, that of the cluster the pod is in")
	set.StringVar(&o.node, "node-name", o.node, "name of the node; also "+envNode)
	set.StringVar(&o.namespace, "namespace", o.namespace, "namespace of the operator; also "+envNamespace)
	set.StringVar(&o.host, "host", hostFolder, "where the host's root directory is")
	set.StringVar(&o.kubelet, "kubelet-dir", usualKubeletDir, "the kubelet's folder on the host")
	set.StringVar(&o.health, "health-probe-bind-address", "0", "where /healthz is served; 0 serves none")
	set.StringVar(&o.metrics, "metrics-bind-address", "0", "where metrics are served with TLS to who may get the path /metrics; 0 serves none")
	set.StringVar(&o.metricsCerts, "metrics-cert-dir", "", "folder with tls.crt and tls.key for metrics; while there is none the certificate is self-signed")
	set.IntVar(&o.verbosity, "v", 0, "how much is logged: 0 for changes and errors, 4 for more; logLevel of the operator configuration may ask for more")
	set.StringVar(&o.plugins, "disable-plugins", "", "what is left alone, of: mellanox (firmware settings, which this version does not change)")
	set.BoolVar(&o.atBoot, "use-systemd-service", false, "let a service of systemd make VFs at boot, before the network and the kubelet; without it that service is removed")
	// What follows is said by deployments of the operator before this one.
	set.Bool("parallel-nic-config", false, "taken for compatibility: NICs are always configured at the same time")
	set.Bool("manage-software-bridges", false, "taken for compatibility: the status says so where bridges are asked for")
	set.String("ovs-socket-path", "", "taken for compatibility, as bridges are not configured")
	err := parse(set, args)
	if err != nil {
		return o, err
	}
	for _, name := range strings.FieldsFunc(o.plugins, func(r rune) bool { return r == ',' }) {
		if name != string(sriovv1.PluginMellanox) {
			return o, fmt.Errorf("--disable-plugins: %q is no plugin that can be disabled; there is %s", name, sriovv1.PluginMellanox)
		}
	}
	if o.addrs, err = addresses(env(envAddress)); err != nil {
		return o, err
	}
	if o.node == "" {
		return o, errors.New("the node's name is missing; set --node-name or " + envNode)
	}
	return o, nil
}

// addresses are those of a list with commas, as status.hostIP of a pod has one.
func addresses(list string) ([]netip.Addr, error) {
	var out []netip.Addr
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no IP address; it is the node's, as status.hostIP of the pod", envAddress, text)
		}
		out = append(out, addr)
	}
	return out, nil
}

// start runs the daemon until the context ends.
func start(ctx context.Context, args []string, env func(string) string, errs io.Writer) error {
	o, err := readStart(args, env, errs)
	if err != nil {
		return err
	}
	debug.SetGCPercent(generous)
	verbosity := loglevel.New(o.verbosity)
	log := newLogger(errs, verbosity)
	config, err := connect(o)
	if err != nil {
		return err
	}
	machine, err := openMachine(o.host)
	if err != nil {
		return err
	}
	stop, err := serveHealth(ctx, o.health, log)
	if err != nil {
		return err
	}
	defer stop()
	registry := newRegistry()
	defer serveMetrics(ctx, o, config, registry, log)()
	log.Info("starting", "version", released(), "node", o.node, "namespace", o.namespace, "host", o.host)
	return daemon.Run(ctx, daemon.Options{
		Node: o.node, Namespace: o.namespace, Addrs: o.addrs, API: config, Host: machine,
		Holders:         holders.At(filepath.Join(o.host, o.kubelet, podResources)),
		ExternalDrainer: o.external, AtBoot: o.atBoot, Now: time.Now, Log: log, Registry: registry,
		SetLogLevel: func(wanted int) { verbosity.Follow(log.Info, wanted) },
		Decided:     func() { debug.SetGCPercent(thrifty) },
	})
}

// In percent of what is in use, how much is made before the collector runs: while the
// daemon starts, each run takes a processor from it; later it is idle nearly always, and
// memory is worth more.
const (
	generous = 400
	thrifty  = 30
)

// connect says where the API server is.
func connect(o startOptions) (*rest.Config, error) {
	var config *rest.Config
	var err error
	if o.kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	} else {
		config, err = rest.InClusterConfig()
	}
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.UserAgent = "sriov-network-config-daemon/" + released()
	if !strings.EqualFold(o.cluster, "openshift") || o.kubeconfig != "" {
		return config, nil
	}
	// There the network of services may depend on the NICs; the kubelet's way does not.
	kubelet := filepath.Join(o.host, "etc/kubernetes/kubeconfig")
	direct, err := clientcmd.BuildConfigFromFlags("", kubelet)
	if err != nil {
		return nil, fmt.Errorf("read where the kubelet finds the API server from %s: %w", kubelet, err)
	}
	config.Host = direct.Host
	return config, nil
}

// serveHealth answers who asks whether the daemon lives. The function that it returns
// ends that.
func serveHealth(ctx context.Context, address string, log *slog.Logger) (func(), error) {
	if slices.Contains([]string{"", "0"}, address) {
		return func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve /healthz: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health is no longer served", "err", err)
		}
	}()
	return func() { _ = server.Close() }, nil
}
