// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// tcOffload is the feature's name (net/ethtool/common.c, netdev_features_strings).
const tcOffload = "hw-tc-offload"

// TCOffload implements host.LinkReader.
func (links) TCOffload(ctx context.Context, name string) (hw.Feature, error) {
	state, err := withEthtool(ctx, func(e *ethtool.Ethtool) (hw.Feature, error) {
		return featureOf(e, name, tcOffload)
	})
	if err != nil {
		return "", fmt.Errorf("read feature %s of %s: %w", tcOffload, name, err)
	}
	return state, nil
}

// enableFeature switches a feature on. The kernel does not complain about one
// that the driver has not or has fixed, so that is looked at first.
func enableFeature(ctx context.Context, name, feature string) error {
	_, err := withEthtool(ctx, func(e *ethtool.Ethtool) (struct{}, error) {
		state, err := featureOf(e, name, feature)
		if err != nil || state == hw.FeatureOn {
			return struct{}{}, err
		}
		if state == hw.FeatureAbsent {
			return struct{}{}, host.ErrUnsupported
		}
		return struct{}{}, e.Change(name, map[string]bool{feature: true})
	})
	if err != nil {
		return fmt.Errorf("switch on feature %s of %s: %w", feature, name, err)
	}
	return nil
}

func featureOf(e *ethtool.Ethtool, name, feature string) (hw.Feature, error) {
	states, err := e.FeaturesWithState(name)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return hw.FeatureAbsent, nil
	}
	if err != nil {
		return "", err
	}
	state, known := states[feature]
	switch {
	case known && state.Active:
		return hw.FeatureOn, nil
	case known && state.Available && !state.NeverChanged:
		return hw.FeatureOff, nil
	}
	return hw.FeatureAbsent, nil
}

// withEthtool works with a socket of the calling thread's network namespace.
func withEthtool[T any](ctx context.Context, work func(*ethtool.Ethtool) (T, error)) (T, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		var none T
		return none, err
	}
	return within(ctx, func() (T, error) {
		defer e.Close()
		return work(e)
	})
}
