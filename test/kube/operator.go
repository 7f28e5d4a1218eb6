// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"path/filepath"
)

// RunOperator starts the operator, whose program has this path, as the administrator. It is a part of the cluster
// then: it ends with it, and its end before is the cluster's failure.
func (c *Cluster) RunOperator(program string, env ...string) error {
	program, err := filepath.Abs(program) // it runs in the cluster's folder
	if err != nil {
		return fmt.Errorf("find the operator: %w", err)
	}
	p, err := startWith(append(env, "KUBECONFIG="+c.Kubeconfig()), c.dir, program,
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-elect=false")
	if err != nil {
		return err
	}
	c.others = append(c.others, p)
	return nil
}

// Said returns the last lines that a program of the cluster has written. It is known by its file's name.
func (c *Cluster) Said(program string) string {
	for _, p := range c.others {
		if p.name == filepath.Base(program) {
			return p.tail()
		}
	}
	return ""
}

// Folder returns a folder for files that are to go with the cluster.
func (c *Cluster) Folder() string { return c.dir }
