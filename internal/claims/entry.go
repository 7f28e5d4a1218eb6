// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// The fields that other code here names.
const (
	nicName      = "nicName"
	nicTypeField = "nicType"
	pciAddress   = "pciAddress"
	numVfs       = "numVfs"
	resourceName = "resourceName"
)

// The limits of values.
const (
	// maxName is the longest alternative name of a netdev (ALTIFNAMSIZ of
	// include/uapi/linux/if.h, less the final zero), with room for a range.
	maxName = 127 + len("#65535-65535")
	// maxResourceName is the longest name that the kubelet takes.
	maxResourceName = 63
)

// draft is an entry that is being read.
type draft struct {
	kinds *kinds
	entry match.Entry
	// given are the fields that the text has, by their first names.
	given map[string]given
}

// given is a field as the text has it.
type given struct {
	// as is how the text spells the field.
	as    string
	value *yaml.Node
}

// field is one field of an item.
type field struct {
	// names are the spellings; the first is the one of this project.
	names []string
	set   func(*draft, *yaml.Node) fault
}

func (f field) called(name string) bool { return slices.Contains(f.names, name) }

// Fields are the fields of an item, each with its spellings, the usual one first.
func Fields() [][]string {
	var out [][]string
	for _, f := range fields() {
		out = append(out, slices.Clone(f.names))
	}
	return out
}

// fields are a function because a package variable could be changed.
func fields() []field {
	return []field{
		{[]string{nicName, "name", "pfName"}, setName},
		{[]string{nicTypeField, "type"}, setType},
		{[]string{pciAddress}, setAddress},
		{[]string{numVfs, "vfNum", "vfs"}, number(func(s *spec, n int) { s.NumVfs = n })},
		{[]string{resourceName}, word(func(s *spec, v string) { s.ResourceName = v })},
		{[]string{"priority"}, number(func(s *spec, n int) { s.Priority = &n })},
		{[]string{"mtu"}, number(func(s *spec, n int) { s.Mtu = n })},
		{[]string{"eSwitchMode"}, word(func(s *spec, v string) { s.EswitchMode = sriovv1.EswitchMode(v) })},
		{[]string{"deviceType"}, word(func(s *spec, v string) { s.DeviceType = sriovv1.DeviceType(v) })},
		{[]string{"linkType"}, word(func(s *spec, v string) { s.LinkType = sriovv1.LinkType(v) })},
		{[]string{"vdpaType"}, word(func(s *spec, v string) { s.VdpaType = sriovv1.VdpaType(v) })},
		{[]string{"isRdma"}, yes(func(s *spec, v bool) { s.IsRdma = v })},
		{[]string{"needVhostNet"}, yes(func(s *spec, v bool) { s.NeedVhostNet = v })},
		{[]string{"excludeTopology"}, yes(func(s *spec, v bool) { s.ExcludeTopology = v })},
		{[]string{"externallyManaged"}, yes(func(s *spec, v bool) { s.ExternallyManaged = v })},
		{[]string{"allowInUse"}, yes(func(s *spec, v bool) { s.AllowInUse = v })},
		{[]string{"allowUnlistedNics"}, yes(func(s *spec, v bool) { s.AllowUnlistedNics = v })},
	}
}

// spec is what an entry asks for.
type spec = sriovv1.SriovNetworkNodePolicySpec

func setName(d *draft, node *yaml.Node) fault {
	text, wrong := textOf(node)
	if wrong.cause != "" {
		return wrong
	}
	name, err := match.ParsePFName(text)
	const fix = "write ens1f0, or ens1f0#2-5 for VFs 2 to 5 alone"
	switch {
	case err != nil:
		return fault{fmt.Sprintf("%q: %v", shorten(text), err), fix}
	case len(text) > maxName:
		return fault{fmt.Sprintf("%q is longer than any name of a NIC", shorten(text)), fix}
	case strings.ContainsFunc(name.Name, notInName):
		return fault{fmt.Sprintf("%q is no name of a NIC", shorten(text)), fix}
	}
	d.entry.Policy.Spec.NicSelector.PfNames = []string{name.String()}
	return fault{}
}

// notInName reports what the kernel has in no name of a netdev (dev_valid_name in
// net/core/dev.c), and what would not show.
func notInName(r rune) bool {
	return r == '/' || r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar
}

func setType(d *draft, node *yaml.Node) fault {
	text, wrong := idsOf(node)
	if wrong.cause != "" {
		return wrong
	}
	d.entry.Type, wrong = d.kinds.nicType(text)
	return wrong
}

func setAddress(d *draft, node *yaml.Node) fault {
	text, wrong := idsOf(node)
	if wrong.cause != "" {
		return wrong
	}
	addr, err := hw.ParsePCIAddr(text)
	if err != nil {
		return fault{shorten(err.Error()), "write it as 0000:5f:00.0"}
	}
	d.entry.Policy.Spec.NicSelector.RootDevices = []string{addr.String()}
	return fault{}
}

// idsOf is text that may stand without quotes although YAML takes it for a number.
func idsOf(node *yaml.Node) (string, fault) {
	if node.ShortTag() == "!!null" || strings.TrimSpace(node.Value) == "" {
		return "", fault{cause: "the value is missing"}
	}
	return node.Value, fault{}
}

// textOf is a text. A number or a boolean that was meant as text needs quotes, as
// everywhere in Kubernetes.
func textOf(node *yaml.Node) (string, fault) {
	tag := node.ShortTag()
	_, isBool := oldBool(node)
	switch {
	case tag == "!!null" || node.Value == "":
		return "", fault{cause: "the value is missing"}
	case tag != "!!str" || isBool:
		return "", fault{shorten(node.Value) + " without quotes is no text", fmt.Sprintf("write %q, with the quotes", shorten(node.Value))}
	}
	return node.Value, fault{}
}

// oldBool is what Kubernetes reads in words that YAML 1.1 took for booleans.
func oldBool(node *yaml.Node) (value, ok bool) {
	if node.Style != 0 {
		return false, false
	}
	switch strings.ToLower(node.Value) {
	case "yes", "on", "true":
		return true, true
	case "no", "off", "false":
		return false, true
	}
	return false, false
}

func word(set func(*spec, string)) func(*draft, *yaml.Node) fault {
	return func(d *draft, node *yaml.Node) fault {
		text, wrong := textOf(node)
		if wrong.cause == "" {
			set(&d.entry.Policy.Spec, text)
		}
		return wrong
	}
}

func yes(set func(*spec, bool)) func(*draft, *yaml.Node) fault {
	return func(d *draft, node *yaml.Node) fault {
		v, ok := oldBool(node)
		bare := *node
		bare.Style = 0
		_, quoted := oldBool(&bare)
		switch {
		case node.ShortTag() == "!!null":
			return fault{cause: "the value is missing"}
		case !ok && quoted:
			return fault{fmt.Sprintf("%q in quotes is text, and true or false is needed here", node.Value), fmt.Sprintf("write %s, without the quotes", node.Value)}
		case !ok:
			return fault{fmt.Sprintf("%q is neither true nor false", shorten(node.Value)), ""}
		}
		set(&d.entry.Policy.Spec, v)
		return fault{}
	}
}

// number reads a whole number in decimal digits alone: YAML would take 010 for 8
// and 1_0 for 10.
func number(set func(*spec, int)) func(*draft, *yaml.Node) fault {
	return func(d *draft, node *yaml.Node) fault {
		n, err := strconv.ParseInt(node.Value, 10, 32)
		plain := err == nil && strconv.FormatInt(n, 10) == node.Value
		switch {
		case node.ShortTag() == "!!null":
			return fault{cause: "the value is missing"}
		case plain && node.Style != 0:
			return fault{fmt.Sprintf("%q in quotes is text, and a number is needed here", node.Value), fmt.Sprintf("write %d, without the quotes", n)}
		case !plain:
			return fault{fmt.Sprintf("%q is no whole number", shorten(node.Value)), "write it in decimal digits alone"}
		}
		set(&d.entry.Policy.Spec, int(n))
		return fault{}
	}
}

// lack is what is wrong with an item as a whole.
type lack struct {
	field string
	fault
}

// complete fills in what the item leaves out and says what is wrong with it.
func (d *draft) complete(key string) []lack {
	var out []lack
	if _, ok := d.given[numVfs]; !ok {
		out = append(out, lack{numVfs, fault{"the number of VFs is missing", "write numVfs"}})
	}
	if d.nic() == "" {
		return append(out, lack{"", fault{"it names no NIC", "write nicName, nicType or pciAddress"}})
	}
	p := &d.entry.Policy
	p.Name = Name(key, d.nic())
	if _, ok := d.given[resourceName]; !ok {
		if p.Spec.ResourceName = derived(d.nic()); p.Spec.ResourceName == "" {
			out = append(out, lack{resourceName, fault{fmt.Sprintf("none can be made from %q", d.nic()), "write it: at most 63 letters, digits, '-' and '_'"}})
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, problem := range nodestate.Check(p) {
		out = append(out, lack{fieldOf(problem.Field), fault{problem.Cause, problem.Fix}})
	}
	return out
}

// nic is what the item names its NICs by; empty when it names none.
func (d *draft) nic() string {
	nics := d.entry.Policy.Spec.NicSelector
	return cmp.Or(strings.Join(nics.PfNames, ""), strings.Join(nics.RootDevices, ""), d.entry.Type.Name)
}

// fieldOf is the field here that a field of a policy comes from.
func fieldOf(policyField string) string {
	switch {
	case strings.HasPrefix(policyField, "nicSelector.pfNames"):
		return nicName
	case strings.HasPrefix(policyField, "nicSelector.rootDevices"):
		return pciAddress
	}
	return policyField
}

// Name is the policy name of an entry: what NodeState.spec and every message call
// it.
func Name(key, nic string) string {
	return sriovv1.ConfigMapSriovConfig + "/" + key + "/" + nic
}

// derived is the resource name of an entry that gives none: what it names its NICs
// by, with '_' for each character that a resource name cannot have. It is empty
// when nothing comes of it that is short enough: a name that was cut could be that
// of another NIC.
func derived(nic string) string {
	name := strings.Map(func(r rune) rune {
		if r == '-' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, nic)
	name = strings.Trim(name, "-_")
	if len(name) > maxResourceName {
		return ""
	}
	return name
}
