// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Certificate is one that a server of an operand shows, and that the operator makes.
type Certificate struct {
	Group Group
	// Secret is the metadata of the Secret that the certificate is kept in. Its type is
	// kubernetes.io/tls; what it holds is not said here.
	Secret *corev1.Secret
	// DNSNames are what clients call the server.
	DNSNames []string
	// TrustedBy are the webhook configurations that hold the CA for the API server.
	TrustedBy []Ref
}

// SelfMade are the certificates that the operator makes: one for each group that the
// configuration asks for and that shows one. There are none when somebody else makes
// them.
func SelfMade(config sriovv1.SriovOperatorConfig, s Settings) []Certificate {
	r := newRenderer(config, s)
	if r.Certificates.Source != SelfManaged {
		return nil
	}
	var out []Certificate
	for _, g := range []Group{Injector, Exporter, Webhook} {
		if r.wanted(g) {
			out = append(out, r.certificate(g))
		}
	}
	return out
}

// certificate is that of a group which shows one.
func (r *renderer) certificate(g Group) Certificate {
	name, service := r.certificateOf(g)
	host := service + "." + r.Namespace
	out := Certificate{
		Group: g,
		Secret: &corev1.Secret{
			TypeMeta: typeMeta(kindSecret), ObjectMeta: r.meta(g, kindSecret, name), Type: corev1.SecretTypeTLS,
		},
		// The API server calls webhooks by the first, and so does Prometheus.
		DNSNames: []string{host + ".svc", host, host + ".svc.cluster.local"},
	}
	switch g {
	case Webhook:
		out.TrustedBy = r.refs(webhookConfig, kindValidatingWebhook, kindMutatingWebhook)
	case Injector:
		out.TrustedBy = r.refs(injectorConfig, kindMutatingWebhook)
	case ConfigDaemon, DevicePlugin, Exporter:
	}
	return out
}

// certificateOf names the Secret with a group's certificate, and the Service that the
// certificate is for. Both are empty for a group that shows none.
func (r *renderer) certificateOf(g Group) (secret, service string) {
	switch g {
	case Webhook:
		return r.Certificates.WebhookSecret, webhookService
	case Injector:
		return r.Certificates.InjectorSecret, injectorService
	case Exporter:
		return r.Certificates.ExporterSecret, exporterService
	case ConfigDaemon, DevicePlugin:
	}
	return "", ""
}

// secrets names the Secret with the group's certificate, if the operator makes it.
func (r *renderer) secrets(g Group) []Ref {
	name, _ := r.certificateOf(g)
	if name == "" || r.Certificates.Source != SelfManaged {
		return nil
	}
	return r.refs(name, kindSecret)
}
