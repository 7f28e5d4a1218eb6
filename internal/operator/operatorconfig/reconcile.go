// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operatorconfig

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/certs"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

const (
	// lookAgain is when to look again for what no watch brings: that somebody else's
	// object is gone, or that the API server takes what it has refused.
	lookAgain = time.Minute
	// tries is how often something that passes is tried before users are told.
	tries = 5
)

// reconciler brings what is deployed to where the operator configuration wants it.
type reconciler struct {
	options Options
	// client reads what the manager's cache has.
	client client.Client
	store  *store
	kinds  *kinds
	keeper certs.Keeper
	voice  *voice
	// failures counts tries in a row that failed for what passes.
	failures int
}

// Reconcile works on the one operator configuration that counts.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	settings, err := r.settings(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	config := &sriovv1.SriovOperatorConfig{}
	err = r.client.Get(ctx, client.ObjectKey{Namespace: r.options.Settings.Namespace, Name: sriovv1.DefaultConfigName}, config)
	switch {
	case apierrors.IsNotFound(err):
		r.options.SetLogLevel(0)
		return ctrl.Result{}, r.sweep(ctx, settings)
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("read the operator configuration: %w", err)
	}
	r.options.SetLogLevel(config.Spec.LogLevel)
	if config.DeletionTimestamp != nil {
		return ctrl.Result{}, r.release(ctx, config, settings)
	}
	if err := r.hold(ctx, config); err != nil {
		return ctrl.Result{}, err
	}
	return r.deploy(ctx, config, settings)
}

// deploy does what the configuration asks for, and tells what became of it.
func (r *reconciler) deploy(ctx context.Context, config *sriovv1.SriovOperatorConfig, settings operand.Settings) (ctrl.Result, error) {
	needs := operand.SelfMade(*config, settings)
	for _, need := range needs {
		delete(r.store.none, operand.RefOf(need.Secret))
	}
	kept, err := r.keeper.Keep(ctx, needs)
	errs := []error{err}
	kept.Into(&settings.Certificates)
	objects, problems := operand.Render(*config, settings)
	problems = append(problems, kept.Problems...)
	var verdicts []verdict
	for _, d := range objects.Deployments {
		of := slices.DeleteFunc(slices.Clone(problems), func(p operand.Problem) bool { return p.Group != d.Group })
		v, err := r.group(ctx, d, of)
		if err != nil {
			v = failed(d.Group, err)
			errs = append(errs, err)
		}
		verdicts = append(verdicts, v)
	}
	err = errors.Join(errs...)
	if passing(err) && r.failures < tries {
		r.failures++
		return ctrl.Result{}, err
	}
	told := r.voice.tell(ctx, config, verdicts, missing(config.Spec, settings))
	if passing(err) || told != nil {
		return ctrl.Result{}, errors.Join(err, told)
	}
	r.failures = 0
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "not everything could be deployed")
		return ctrl.Result{RequeueAfter: lookAgain}, nil
	}
	return ctrl.Result{RequeueAfter: r.again(verdicts, kept.Again)}, nil
}

// again is when to work again although nothing has happened; 0 for never.
func (r *reconciler) again(verdicts []verdict, renewal time.Time) time.Duration {
	var after time.Duration
	if !renewal.IsZero() {
		after = max(time.Second, renewal.Sub(r.options.Now()))
	}
	if slices.ContainsFunc(verdicts, func(v verdict) bool { return v.reason == sriovv1.ReasonForeignObject }) && (after == 0 || after > lookAgain) {
		after = lookAgain
	}
	return after
}

// passing reports whether an error is over when one tries again: a race with another
// writer, an API server that is busy or away.
func passing(err error) bool {
	if err == nil {
		return false
	}
	var status apierrors.APIStatus
	return errors.Is(err, errReplaced) || !errors.As(err, &status) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsNotFound(err) || apierrors.IsInternalError(err)
}
