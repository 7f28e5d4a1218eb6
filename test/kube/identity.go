// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// As returns the configuration of another user, through the same door. The
// administrator's configurations alone may be used so: it impersonates.
func As(c *rest.Config, name string, groups []string, extra map[string][]string) *rest.Config {
	other := rest.CopyConfig(c)
	other.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: slices.Clone(groups), Extra: maps.Clone(extra)}
	return other
}

// serviceAccountToken returns a real token of a service account. With a pod, it
// is bound to that pod and names the pod's node, as a kubelet's would.
func (c *Cluster) serviceAccountToken(ctx context.Context, namespace, account, pod string) (string, error) {
	request := &authenticationv1.TokenRequest{}
	if pod != "" {
		p := &corev1.Pod{}
		if err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: pod}, p); err != nil {
			return "", fmt.Errorf("get the token's pod: %w", err)
		}
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.UID}
	}
	holder := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := c.client.SubResource("token").Create(ctx, holder, request); err != nil {
		return "", fmt.Errorf("request a token of %s/%s: %w", namespace, account, err)
	}
	return request.Status.Token, nil
}

// WriteKubeconfig writes a configuration as the file that kubectl and other
// programs take.
func WriteKubeconfig(path string, c *rest.Config) error {
	const name = "kube-rig"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: c.CertData, ClientKeyData: c.KeyData, Token: c.BearerToken,
		Impersonate: c.Impersonate.UserName, ImpersonateGroups: c.Impersonate.Groups, ImpersonateUserExtra: c.Impersonate.Extra,
	}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("write a kubeconfig: %w", err)
	}
	return nil
}
