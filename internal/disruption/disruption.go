// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package disruption ranks what a change disturbs.
package disruption

import "fmt"

// Class says who notices a change. A higher class includes the lower ones.
type Class int

// The classes, in order.
const (
	// None disturbs nobody.
	None Class = iota
	// Link may pause the PF's own traffic.
	Link
	// Pods takes VFs away: whoever holds one of them must leave first.
	Pods
	// Reboot restarts the node: everybody must leave first.
	Reboot
)

// String is the word that people and JSON read.
func (c Class) String() string {
	switch c {
	case None:
		return "none"
	case Link:
		return "link"
	case Pods:
		return "pods"
	case Reboot:
		return "reboot"
	}
	return fmt.Sprintf("Class(%d)", int(c))
}

// Parse reads the word that String writes.
func Parse(s string) (Class, error) {
	for c := None; c <= Reboot; c++ {
		if c.String() == s {
			return c, nil
		}
	}
	return None, fmt.Errorf("disruption class %q: it is one of none, link, pods, reboot", s)
}

// MarshalText makes the class a word in JSON and YAML.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is Parse.
func (c *Class) UnmarshalText(text []byte) error {
	v, err := Parse(string(text))
	if err != nil {
		return err
	}
	*c = v
	return nil
}
