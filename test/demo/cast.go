// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/kubeovn/sriov-network-operator/test/kube/binaries"
	"github.com/kubeovn/sriov-network-operator/test/vm/image"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

// kind says what sort of machine a node is.
type kind int

const (
	simulated kind = iota // one ConnectX-5 with two ports, as machine.yaml describes it
	virtual               // a VM with a real kernel and emulated NICs
)

// member is a node of the demonstration.
type member struct {
	name string
	kind kind
}

// cast are the nodes: three simulated ones, or two and a VM.
func cast(withVM bool) []member {
	c := []member{{name: "node1"}, {name: "node2"}, {name: "node3"}}
	if withVM {
		c[2] = member{name: "vm", kind: virtual}
	}
	return c
}

// hasVM reports whether one of the nodes is a VM.
func hasVM(c []member) bool {
	return slices.ContainsFunc(c, func(m member) bool { return m.kind == virtual })
}

func describe(c []member) string {
	if hasVM(c) {
		return "two simulated machines and a virtual one"
	}
	return "three simulated machines"
}

// act is a command that is shown, and what for.
type act struct {
	title string
	words []string
}

// acts are what there is to see.
func acts(c []member) []act {
	policies := []string{"examples/quick-start.yaml"}
	if hasVM(c) {
		policies = append(policies, "test/demo/igb.yaml")
	}
	var files []string
	for _, p := range policies {
		files = append(files, "-f", p)
	}
	kubectl := func(words ...string) []string { return append([]string{"kubectl"}, words...) }
	out := []act{
		{"The nodes", kubectl("get", "nodes")},
		{"What the operator found on one of them", kubectl("sriov", "status", "node1")},
	}
	if hasVM(c) {
		out = append(out, act{"And on the virtual machine, whose kernel is a real one", kubectl("sriov", "status", "vm")})
	}
	for _, p := range policies {
		out = append(out, act{"What is wanted: " + p, []string{"tail", "-n", "+4", p}})
	}
	out = append(out,
		act{"What that would change, whom it would disturb, and why", kubectl(append(append([]string{"sriov", "plan"}, files...), "--cluster")...)},
		act{"It is applied", kubectl(append([]string{"apply"}, files...)...)},
		act{"And rolled out", kubectl("sriov", "status", "--watch")},
		act{"What became of it", kubectl("get", "snsp", "-n", "kube-system")},
		act{"Who decided what on one port", kubectl("sriov", "explain", "node1/ens41f0np0")},
		act{"The state of one node", kubectl("get", "sns", "-n", "kube-system", "node1", "-o", "yaml")},
	)
	if hasVM(c) {
		out = append(out, act{"And of the virtual machine", kubectl("get", "sns", "-n", "kube-system", "vm", "-o", "yaml")})
	}
	return out
}

// prepare builds what the caches lack.
func prepare(ctx context.Context, b binaries.Builder, c []member) error {
	if hasVM(c) {
		images, err := newImages()
		if err != nil {
			return err
		}
		disk, err := images.Disk(ctx)
		if err != nil {
			return fmt.Errorf("prepare the virtual machine: %w", err)
		}
		verdict, err := images.Accel(ctx, disk)
		if err != nil {
			return fmt.Errorf("prepare the virtual machine: %w", err)
		}
		if _, err := images.Snapshot(ctx, machine.DefaultHardware(verdict.Accel), ""); err != nil {
			return fmt.Errorf("prepare the virtual machine: %w", err)
		}
	}
	_, err := b.Build(ctx)
	return err
}

// newImages finds and builds what a VM is restored from.
func newImages() (image.Builder, error) {
	cache, err := image.DefaultCache(os.Getenv)
	return image.Builder{Cache: cache, Log: os.Stderr}, err
}
