// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// fieldManager is who writes, as the API records it.
const fieldManager = client.FieldOwner("sriov-network-operator")

// attempts is how often to decide anew when somebody else was faster.
const attempts = 4

// Keeper keeps certificates in Secrets. Of several replicas only the leader may use one;
// should there be two all the same, each writes only over what it has read, so that the
// second finds what the first made and keeps it.
type Keeper struct {
	// Reader reads Secrets by name and webhook configurations. It should ask the API
	// server: a cache of Secrets needs the right to list them, and holds their keys.
	Reader client.Reader
	Writer client.Writer
	Now    func() time.Time
	// Random must be unpredictable.
	Random io.Reader
}

// Kept is what became of certificates.
type Kept struct {
	// CAs are what clients of a group are to trust, in PEM. A group without one has no
	// certificate that can be used.
	CAs map[operand.Group][]byte
	// Problems are about Secrets of somebody else.
	Problems []operand.Problem
	// Again is when to keep them again, if nothing changes before; zero when there is
	// nothing to keep.
	Again time.Time
}

// Into fills in the CAs that webhook configurations are rendered with.
func (k Kept) Into(c *operand.Certificates) {
	c.WebhookCA, c.InjectorCA = k.CAs[operand.Webhook], k.CAs[operand.Injector]
}

// Keep makes, renews and mends certificates. One that fails stops no other; the error
// says which failed, and Kept holds the others.
func (k Keeper) Keep(ctx context.Context, needs []operand.Certificate) (Kept, error) {
	kept := Kept{CAs: map[operand.Group][]byte{}}
	var errs []error
	for _, need := range needs {
		d, err := k.keep(ctx, need)
		if err != nil {
			errs = append(errs, fmt.Errorf("keep the certificate in the Secret %s/%s: %w", need.Secret.Namespace, need.Secret.Name, err))
			continue
		}
		if len(d.CA) > 0 {
			kept.CAs[need.Group] = d.CA
		}
		if d.Problem != nil {
			kept.Problems = append(kept.Problems, *d.Problem)
		}
		if kept.Again.IsZero() || d.Again.Before(kept.Again) {
			kept.Again = d.Again
		}
	}
	return kept, errors.Join(errs...)
}

// keep decides on one certificate and writes it. Whoever is faster decides: then what
// they wrote is looked at.
func (k Keeper) keep(ctx context.Context, need operand.Certificate) (Decision, error) {
	for attempt := 1; ; attempt++ {
		saw, err := k.look(ctx, need)
		if err != nil {
			return Decision{}, err
		}
		d, err := Decide(need, saw, k.Now(), k.Random)
		if err != nil || d.Write == nil {
			return d, err
		}
		if d.Write.ResourceVersion == "" {
			err = k.Writer.Create(ctx, d.Write, fieldManager)
		} else {
			err = k.Writer.Update(ctx, d.Write, fieldManager)
		}
		if err == nil {
			return d, nil
		}
		outrun := apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
		if !outrun || attempt == attempts {
			return Decision{}, fmt.Errorf("write it: %w", err)
		}
	}
}

// look reads what there is of a certificate.
func (k Keeper) look(ctx context.Context, need operand.Certificate) (Seen, error) {
	var saw Seen
	var secret corev1.Secret
	err := k.Reader.Get(ctx, client.ObjectKeyFromObject(need.Secret), &secret)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return saw, fmt.Errorf("read it: %w", err)
	default:
		saw.Secret = &secret
	}
	for _, ref := range need.TrustedBy {
		bundles, err := k.bundles(ctx, ref)
		if err != nil {
			return saw, fmt.Errorf("read who trusts it: %w", err)
		}
		saw.Bundles = append(saw.Bundles, bundles...)
	}
	return saw, nil
}

// bundles are the CAs of a webhook configuration, one for each webhook. There are none
// when there is no configuration.
func (k Keeper) bundles(ctx context.Context, ref operand.Ref) ([][]byte, error) {
	var out [][]byte
	key := client.ObjectKey{Name: ref.Name}
	switch ref.Kind {
	case "ValidatingWebhookConfiguration":
		var c admissionv1.ValidatingWebhookConfiguration
		if err := k.Reader.Get(ctx, key, &c); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		for _, hook := range c.Webhooks {
			out = append(out, hook.ClientConfig.CABundle)
		}
	case "MutatingWebhookConfiguration":
		var c admissionv1.MutatingWebhookConfiguration
		if err := k.Reader.Get(ctx, key, &c); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		for _, hook := range c.Webhooks {
			out = append(out, hook.ClientConfig.CABundle)
		}
	default:
		return nil, fmt.Errorf("%s holds no CA", ref)
	}
	return out, nil
}
