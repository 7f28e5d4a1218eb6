// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// PFName is one entry of nicSelector.pfNames: a PF, by its netdev's name or an
// alternative name, and with HasRange the VFs of it that the policy is about.
type PFName struct {
	Name     string
	Range    hw.VFRange
	HasRange bool
}

// ParsePFName reads "ens1f0" or "ens1f0#2-5".
func ParsePFName(s string) (PFName, error) {
	name, text, hasRange := strings.Cut(s, "#")
	if name == "" {
		return PFName{}, errors.New("the name is missing")
	}
	if !hasRange {
		return PFName{Name: name}, nil
	}
	if strings.Contains(text, "#") {
		return PFName{}, errors.New("there is more than one '#'; give each range an entry of its own")
	}
	r, err := hw.ParseVFRange(text)
	if err != nil {
		return PFName{}, err
	}
	return PFName{Name: name, Range: r, HasRange: true}, nil
}

// String is the entry as ParsePFName reads it.
func (n PFName) String() string {
	if !n.HasRange {
		return n.Name
	}
	return fmt.Sprintf("%s#%s", n.Name, n.Range)
}
