// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Description is a machine in words that people write: see
// test/machines/README.md. The zero value of a field leaves it to the model.
type Description struct {
	NodeName string `yaml:"nodeName"`
	// IOMMU is on unless it says false.
	IOMMU *bool           `yaml:"iommu"`
	Boot  BootDescription `yaml:"boot"`
	// Modules are loaded besides the drivers of what exists; MissingModules are
	// not installed; BlockedModules are installed, and udev does not load them.
	Modules        []string `yaml:"modules"`
	MissingModules []string `yaml:"missingModules"`
	BlockedModules []string `yaml:"blockedModules"`
	// RDMA is shared, exclusive or none. Shared unless no NIC does RDMA.
	RDMA string `yaml:"rdma"`
	// Namespaces says that network namespaces besides the host's exist at first.
	Namespaces    bool                `yaml:"namespaces"`
	PFs           []PFDescription     `yaml:"pfs"`
	Devices       []DeviceDescription `yaml:"devices"`
	Links         []LinkDescription   `yaml:"links"`
	DefaultRoutes []string            `yaml:"defaultRoutes"`
	// Routes are those to less than everything.
	Routes []RouteDescription `yaml:"routes"`
}

// RouteDescription is one route.
type RouteDescription struct {
	// To is a prefix such as 192.0.2.0/24, Over the netdev that leads there.
	To   string `yaml:"to"`
	Over string `yaml:"over"`
}

// BootDescription is how the machine boots.
type BootDescription struct {
	// IOMMU is the one that the firmware tells of: intel, amd or none.
	IOMMU string `yaml:"iommu"`
	// Loader is grubby, rpm-ostree, update-grub, or none of them.
	Loader string `yaml:"loader"`
	// Args are the kernel's arguments at first.
	Args string `yaml:"args"`
}

// PFDescription is one PF, or one virtual NIC.
type PFDescription struct {
	PCI      string   `yaml:"pci"`
	Model    string   `yaml:"model"`
	Name     string   `yaml:"name"`
	AltNames []string `yaml:"altNames"`
	MAC      string   `yaml:"mac"`
	PermMAC  string   `yaml:"permMAC"`
	MTU      int      `yaml:"mtu"`
	MaxMTU   int      `yaml:"maxMTU"`
	// Up is true unless it says false.
	Up       *bool  `yaml:"up"`
	Speed    int    `yaml:"speed"`    // in Mb/s
	LinkType string `yaml:"linkType"` // ETH or IB
	TotalVFs *int   `yaml:"totalvfs"`
	NumVFs   int    `yaml:"numvfs"`
	// Autoprobe is true unless it says false.
	Autoprobe *bool  `yaml:"autoprobe"`
	Eswitch   string `yaml:"eswitch"`
	NUMANode  *int   `yaml:"numaNode"`
	// The rest replaces what the model says. Driver "none" leaves the PF unbound.
	Vendor   string          `yaml:"vendor"`
	Device   string          `yaml:"device"`
	VFDevice string          `yaml:"vfDevice"`
	Driver   string          `yaml:"driver"`
	VFDriver string          `yaml:"vfDriver"`
	Virtual  *bool           `yaml:"virtual"`
	VFs      []VFDescription `yaml:"vfs"`
}

// VFDescription is how one VF differs from the others of its PF.
type VFDescription struct {
	Index int `yaml:"index"`
	// Driver replaces the kernel's choice; "none" leaves the VF unbound.
	Driver string `yaml:"driver"`
	// Away: the netdev is in another network namespace.
	Away bool `yaml:"away"`
	// InUse: a program holds the VF through vfio-pci.
	InUse bool   `yaml:"inUse"`
	MAC   string `yaml:"mac"` // the admin MAC
}

// DeviceDescription is a PCI function that is no NIC with SR-IOV.
type DeviceDescription struct {
	PCI    string `yaml:"pci"`
	Vendor string `yaml:"vendor"`
	Device string `yaml:"device"`
	Class  string `yaml:"class"` // six hex digits, like 010802
	Driver string `yaml:"driver"`
}

// LinkDescription is a netdev that is no hardware.
type LinkDescription struct {
	Name    string   `yaml:"name"`
	Kind    string   `yaml:"kind"` // bond, bridge, vlan, openvswitch, …
	MTU     int      `yaml:"mtu"`
	Members []string `yaml:"members"`
	Parent  string   `yaml:"parent"`
}

// fieldError is a value that does not fit, and where it stands.
type fieldError struct {
	path string // "pfs[1].model"
	err  error
}

func (e *fieldError) Error() string { return e.path + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

func wrong(path, format string, args ...any) error {
	return &fieldError{path: path, err: fmt.Errorf(format, args...)}
}

// Parse makes a machine from a description in YAML. Unknown fields are errors;
// an error names the field and its line.
func Parse(text []byte) (*Machine, error) {
	var desc Description
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	switch err := dec.Decode(&desc); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("machine description: it is empty")
	case err != nil:
		return nil, fmt.Errorf("machine description: %w", plainYAML(err))
	case !errors.Is(dec.Decode(&yaml.Node{}), io.EOF):
		return nil, errors.New("machine description: a second document begins; one file describes one machine")
	}
	m, err := New(desc)
	if bad, ok := errors.AsType[*fieldError](err); ok {
		return nil, fmt.Errorf("machine description: line %d: %w", lineOf(text, bad.path), err)
	}
	return m, err
}

// plainYAML takes the names of Go types out of the decoder's message.
func plainYAML(err error) error {
	var bad *yaml.TypeError
	if !errors.As(err, &bad) {
		return err
	}
	msgs := make([]string, 0, len(bad.Errors))
	for _, msg := range bad.Errors {
		before, _, found := strings.Cut(msg, " not found in type ")
		if found {
			msg = strings.Replace(before, "field ", "unknown field ", 1)
		}
		msgs = append(msgs, msg)
	}
	return errors.New(strings.Join(msgs, "; "))
}

// lineOf is the line of the deepest part of the path that the text has.
func lineOf(text []byte, path string) int {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return 1
	}
	node, line := doc.Content[0], doc.Content[0].Line
	for step := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		key, next := child(node, step)
		if next == nil {
			break
		}
		node, line = next, key.Line
	}
	return line
}

// child is the key's node and the value's, which are the same in a list.
func child(node *yaml.Node, step string) (key, value *yaml.Node) {
	if number, ok := strings.CutPrefix(step, "["); ok {
		i, err := strconv.Atoi(strings.TrimSuffix(number, "]"))
		if err != nil || node.Kind != yaml.SequenceNode || i >= len(node.Content) {
			return nil, nil
		}
		return node.Content[i], node.Content[i]
	}
	if node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == step {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}
