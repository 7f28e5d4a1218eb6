// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/atboot"
	"github.com/kubeovn/sriov-network-operator/internal/loglevel"
)

// service is what systemd runs at boot: it makes the machine what it was asked for last.
func service(ctx context.Context, args []string, errs io.Writer) error {
	var root, kubelet, phase string
	set := flags("service", errs)
	set.StringVar(&root, "host", "/", "where the machine's root directory is")
	set.StringVar(&kubelet, "kubelet-dir", usualKubeletDir, "the kubelet's folder")
	set.StringVar(&phase, "phase", phasePre, "of units of the operator before this one: pre does all of it, post nothing")
	set.StringVar(&phase, "p", phasePre, "short for --phase")
	if err := parse(set, args); err != nil {
		return err
	}
	log := newLogger(errs, loglevel.New(0))
	switch phase {
	case phasePre:
	case phasePost:
		return nil
	default:
		return fmt.Errorf("service: --phase %q is neither %s nor %s", phase, phasePre, phasePost)
	}
	if kubeletRuns(ctx, filepath.Join(root, kubelet, podResources)) {
		log.Info("the kubelet runs, so this is left to the daemon")
		return nil
	}
	machine, err := openMachine(root)
	if err != nil {
		return err
	}
	return atboot.Restore(ctx, atboot.Options{Host: machine, Now: time.Now, Log: log, Patience: time.Minute, Step: 5 * time.Minute})
}

// Phases of the operator before this one.
const (
	phasePre  = "pre"
	phasePost = "post"
)

// kubeletRuns reports whether somebody listens where the kubelet does: then pods may hold
// VFs. The file of the socket outlives a boot.
func kubeletRuns(ctx context.Context, socket string) bool {
	c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
