// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// optional is a kind that a cluster may lack.
type optional struct {
	schema.GroupVersionKind
	// definition is the name of its CustomResourceDefinition.
	definition string
	// field is where it is noted that the cluster has the kind.
	field func(*operand.Kinds) *bool
	// missed reports whether the configuration could make use of it.
	missed func(sriovv1.SriovOperatorConfigSpec, operand.Settings) bool
	// without is what happens without the kind, and fix what to do about it.
	without, fix string
}

// optionals are the kinds that a cluster may lack, in the order of messages.
func optionals() []optional {
	exporter := func(spec sriovv1.SriovOperatorConfigSpec, _ operand.Settings) bool {
		return spec.FeatureGates[sriovv1.FeatureMetricsExporter]
	}
	return []optional{
		{
			schema.GroupVersionKind{Group: "k8s.cni.cncf.io", Version: "v1", Kind: "NetworkAttachmentDefinition"},
			"network-attachment-definitions.k8s.cni.cncf.io",
			func(k *operand.Kinds) *bool { return &k.NetworkAttachmentDefinition },
			func(sriovv1.SriovOperatorConfigSpec, operand.Settings) bool { return true },
			"networks get no attachment", "install multus, or the definition of its own",
		},
		{
			schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "ServiceMonitor"},
			"servicemonitors.monitoring.coreos.com",
			func(k *operand.Kinds) *bool { return &k.ServiceMonitor }, exporter,
			"Prometheus does not find the metrics exporter by itself", "install the Prometheus operator, or configure Prometheus by hand",
		},
		{
			schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"},
			"prometheusrules.monitoring.coreos.com",
			func(k *operand.Kinds) *bool { return &k.PrometheusRule },
			func(spec sriovv1.SriovOperatorConfigSpec, s operand.Settings) bool {
				return exporter(spec, s) && s.Metrics.Rules
			},
			"metrics of VFs are not joined with pods", "install the Prometheus operator",
		},
		{
			schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"},
			"certificates.cert-manager.io",
			func(k *operand.Kinds) *bool { return &k.Certificate },
			func(spec sriovv1.SriovOperatorConfigSpec, s operand.Settings) bool {
				asked := spec.EnableInjector || spec.EnableOperatorWebhook || exporter(spec, s)
				return asked && s.Certificates.Source == operand.CertManager
			},
			"nobody makes the certificates of webhooks and exporter", "install cert-manager, or let the operator make them",
		},
	}
}

// kinds knows which optional kinds the cluster has, and watches the objects of those
// that are deployed. One goroutine at a time may use it.
type kinds struct {
	// definitions is a cache for each optional kind, with its definition alone.
	definitions map[string]cache.Cache
	objects     cache.Cache
	// begin adds the objects of a kind to what the controller watches.
	begin func(schema.GroupVersionKind) error
	// policies: the API server has ValidatingAdmissionPolicies.
	policies bool
	// watches are the kinds whose objects are watched.
	watches map[schema.GroupVersionKind]bool
}

// look finds the kinds that the cluster has, and lets watches begin and end.
func (k *kinds) look(ctx context.Context) (operand.Kinds, error) {
	found := operand.Kinds{ValidatingAdmissionPolicy: k.policies}
	for _, o := range optionals() {
		has, err := k.served(ctx, o)
		if err != nil {
			return found, err
		}
		*o.field(&found) = has
		if !deployed(o.definition) || has == k.watches[o.GroupVersionKind] {
			continue
		}
		if err := k.watch(ctx, o.GroupVersionKind, has); err != nil {
			return found, err
		}
	}
	return found, nil
}

// deployed reports whether objects of the kind are ever deployed.
func deployed(definition string) bool {
	return slices.ContainsFunc(operand.AllKinds(), func(k operand.Kind) bool { return k.Definition == definition })
}

// watch begins or ends the watch of a kind. One that went on after its kind is gone
// would ask for it again and again.
func (k *kinds) watch(ctx context.Context, kind schema.GroupVersionKind, on bool) error {
	object := blank(operand.Ref{GroupVersionKind: kind})
	if !on {
		k.watches[kind] = false
		if err := k.objects.RemoveInformer(ctx, object); err != nil {
			return fmt.Errorf("end the watch of kind %s: %w", kind.Kind, err)
		}
		return nil
	}
	// This returns when the cache has the objects.
	if _, err := k.objects.GetInformer(ctx, object); err != nil {
		return fmt.Errorf("list the objects of kind %s: %w", kind.Kind, err)
	}
	if err := k.begin(kind); err != nil {
		return err
	}
	k.watches[kind] = true
	return nil
}

// served reports whether the API server serves a kind, and will go on to.
func (k *kinds) served(ctx context.Context, o optional) (bool, error) {
	var d apiextensionsv1.CustomResourceDefinition
	err := k.definitions[o.definition].Get(ctx, types.NamespacedName{Name: o.definition}, &d)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the CustomResourceDefinition %s: %w", o.definition, err)
	}
	established := slices.ContainsFunc(d.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
	version := slices.ContainsFunc(d.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == o.Version && v.Served
	})
	return established && version && d.DeletionTimestamp == nil, nil
}

// hasPolicies asks once whether the API server has ValidatingAdmissionPolicies. Every
// release that the operator is made for has them, 1.30 and later. They are no definition that
// somebody may add while an API server runs, and there is nothing to watch for them. Where the
// API servers of an older cluster are replaced, the next leader asks anew.
func hasPolicies(ctx context.Context, client *discovery.DiscoveryClient) (bool, error) {
	const version = "admissionregistration.k8s.io/v1"
	list, err := client.ServerResourcesForGroupVersionWithContext(ctx, version)
	if err != nil {
		return false, fmt.Errorf("ask for the kinds of %s: %w", version, err)
	}
	for _, r := range list.APIResources {
		if r.Kind == "ValidatingAdmissionPolicy" {
			return true, nil
		}
	}
	return false, nil
}

// missing are the kinds that the configuration could make use of and the cluster lacks,
// each with its consequence and the fix. Empty when there are none.
func missing(spec sriovv1.SriovOperatorConfigSpec, s operand.Settings) string {
	var out []string
	for _, o := range optionals() {
		if !*o.field(&s.Kinds) && o.missed(spec, s) {
			out = append(out, fmt.Sprintf("%s (%s): %s; %s", o.Kind, o.GroupVersion(), o.without, o.fix))
		}
	}
	return strings.Join(out, "\n")
}
