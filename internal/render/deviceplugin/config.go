// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Config is the configuration of one node's device plugin.
type Config struct {
	// Resources in the order in which the plugin offers them devices.
	Resources []Resource `json:"resourceList"`
}

// JSON is the text that the plugin reads. A configuration without resources is
// {"resourceList":null}.
func (c Config) JSON() (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("marshal the device plugin's configuration: %w", err)
	}
	return string(text), nil
}

// Resource is one name and the devices behind it.
type Resource struct {
	// Name is without prefix; the plugin gets the prefix as an argument.
	Name            string    `json:"resourceName"`
	ExcludeTopology bool      `json:"excludeTopology,omitempty"`
	Selectors       Selectors `json:"selectors"`
	// SelectorObj is always null. It is in every configuration that other software
	// compares with.
	SelectorObj *struct{} `json:"SelectorObj"`
}

// Selectors are alternatives: a device of the resource matches one of them. There
// is at least one.
type Selectors []Selector

// MarshalJSON writes a single selector as an object and several as a list.
func (s Selectors) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]Selector(s))
}

// Selector is what a device must match: every list that is not empty.
type Selector struct {
	Vendors      []string `json:"vendors,omitempty"`
	Devices      []string `json:"devices,omitempty"`
	Drivers      []string `json:"drivers,omitempty"`
	PCIAddresses []string `json:"pciAddresses,omitempty"`
	PFNames      []string `json:"pfNames,omitempty"`
	RootDevices  []string `json:"rootDevices,omitempty"`
	LinkTypes    []string `json:"linkTypes,omitempty"`
	IsRDMA       bool     `json:"IsRdma"`
	NeedVhostNet bool     `json:"NeedVhostNet"`
	VDPAType     string   `json:"vdpaType,omitempty"`
}

// sameFlags reports whether devices of both selectors come with the same extras.
func (s *Selector) sameFlags(o *Selector) bool {
	return s.IsRDMA == o.IsRDMA && s.NeedVhostNet == o.NeedVhostNet && s.VDPAType == o.VDPAType &&
		slices.Equal(s.Drivers, o.Drivers)
}

// union has the values of both selectors, those of s first.
func (s *Selector) union(o *Selector) Selector {
	u := *s
	u.Vendors = unique(s.Vendors, o.Vendors)
	u.Devices = unique(s.Devices, o.Devices)
	u.PCIAddresses = unique(s.PCIAddresses, o.PCIAddresses)
	u.PFNames = oneEntryPerPF(slices.Concat(s.PFNames, o.PFNames))
	u.RootDevices = oneEntryPerPF(slices.Concat(s.RootDevices, o.RootDevices))
	u.LinkTypes = unique(s.LinkTypes, o.LinkTypes)
	return u
}

// unique are the values of both lists in order, each once.
func unique(a, b []string) []string {
	var out []string
	for _, v := range slices.Concat(a, b) {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
