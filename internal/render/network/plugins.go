// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"slices"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// The order of the fields of the plugin types is the order of the keys.

// sriovPlugin configures the sriov CNI plugin.
type sriovPlugin struct {
	Type         string            `json:"type"`
	VLAN         int               `json:"vlan"`
	SpoofCheck   sriovv1.Switch    `json:"spoofchk,omitempty"`
	Trust        sriovv1.Switch    `json:"trust,omitempty"`
	VLANQoS      int               `json:"vlanQoS"`
	VLANProto    string            `json:"vlanProto,omitempty"`
	MinTxRate    *int              `json:"min_tx_rate,omitempty"`
	MaxTxRate    *int              `json:"max_tx_rate,omitempty"`
	Capabilities json.RawMessage   `json:"capabilities,omitempty"`
	LinkState    sriovv1.LinkState `json:"link_state,omitempty"`
	LogLevel     string            `json:"logLevel,omitempty"`
	LogFile      string            `json:"logFile,omitempty"`
	IPAM         json.RawMessage   `json:"ipam"`
}

// kubeOVNPlugin configures the kube-ovn CNI plugin, which has no address management
// or VLAN of its own: both come from the kube-ovn Subnet of the provider.
type kubeOVNPlugin struct {
	Type         string          `json:"type"`
	ServerSocket string          `json:"server_socket"`
	Provider     string          `json:"provider"`
	VFDriver     string          `json:"vf_driver,omitempty"`
	Capabilities json.RawMessage `json:"capabilities,omitempty"`
}

// ibPlugin configures the ib-sriov CNI plugin.
type ibPlugin struct {
	Type         string            `json:"type"`
	Capabilities json.RawMessage   `json:"capabilities,omitempty"`
	LinkState    sriovv1.LinkState `json:"link_state,omitempty"`
	IPAM         json.RawMessage   `json:"ipam"`
}

// ovsPlugin configures the ovs CNI plugin.
type ovsPlugin struct {
	Type          string                 `json:"type"`
	Capabilities  json.RawMessage        `json:"capabilities,omitempty"`
	Bridge        string                 `json:"bridge,omitempty"`
	VLAN          uint                   `json:"vlan,omitempty"`
	MTU           uint                   `json:"mtu,omitempty"`
	Trunk         []*sriovv1.TrunkConfig `json:"trunk,omitempty"`
	InterfaceType string                 `json:"interface_type,omitempty"`
	IPAM          json.RawMessage        `json:"ipam"`
}

func renderSriov(n *sriovv1.SriovNetwork, o Options) (NetworkAttachmentDefinition, error) {
	s := n.Spec
	nad, err := frame(n, place{s.NetworkNamespace, s.ResourceName}, o)
	if err != nil {
		return NetworkAttachmentDefinition{}, err
	}
	user, err := parseUserText(s.Capabilities, s.IPAM, s.MetaPluginsConfig)
	if err != nil {
		return NetworkAttachmentDefinition{}, err
	}
	if s.KubeOVN != nil {
		plugin := kubeOVN(nad, *s.KubeOVN, user, o)
		return configure(nad, struct {
			head
			kubeOVNPlugin
		}{headOf(nad), plugin}, plugin, user.plugins)
	}
	plugin := sriovPlugin{
		Type: "sriov", VLAN: s.Vlan, VLANQoS: s.VlanQoS, VLANProto: s.VlanProto,
		SpoofCheck: oneOf(s.SpoofChk, sriovv1.SwitchOn, sriovv1.SwitchOff),
		Trust:      oneOf(s.Trust, sriovv1.SwitchOn, sriovv1.SwitchOff),
		MinTxRate:  s.MinTxRate, MaxTxRate: s.MaxTxRate,
		LinkState: linkState(s.LinkState), LogLevel: s.LogLevel, LogFile: s.LogFile,
		Capabilities: user.capabilities, IPAM: user.ipam,
	}
	return configure(nad, struct {
		head
		sriovPlugin
	}{headOf(nad), plugin}, plugin, user.plugins)
}

func kubeOVN(nad NetworkAttachmentDefinition, k sriovv1.KubeOVNConfig, user userText, o Options) kubeOVNPlugin {
	plugin := kubeOVNPlugin{
		Type: "kube-ovn", ServerSocket: k.ServerSocket, Provider: k.Provider, VFDriver: k.VfDriver,
		Capabilities: user.capabilities,
	}
	if plugin.ServerSocket == "" {
		plugin.ServerSocket = sriovv1.DefaultKubeOVNServerSocket
	}
	if plugin.Provider == "" {
		plugin.Provider = nad.Name + "." + nad.Namespace + ".ovn"
	}
	if plugin.VFDriver == "" {
		plugin.VFDriver = o.VFDriver
	}
	return plugin
}

// Ignored lists the fields of the network that are set and have no effect because
// it is attached through kube-ovn, sorted. logLevel is not among them: the API sets
// it on every network.
func Ignored(n *sriovv1.SriovNetwork) []string {
	if n.Spec.KubeOVN == nil {
		return nil
	}
	s := n.Spec
	var out []string
	for field, set := range map[string]bool{
		"spec.ipam": !blank(s.IPAM), "spec.vlan": s.Vlan != 0, "spec.vlanQoS": s.VlanQoS != 0,
		"spec.vlanProto": s.VlanProto != "", "spec.spoofChk": s.SpoofChk != "", "spec.trust": s.Trust != "",
		"spec.linkState": s.LinkState != "", "spec.minTxRate": s.MinTxRate != nil, "spec.maxTxRate": s.MaxTxRate != nil,
		"spec.logFile": s.LogFile != "",
	} {
		if set {
			out = append(out, field)
		}
	}
	slices.Sort(out)
	return out
}

func renderIB(n *sriovv1.SriovIBNetwork, o Options) (NetworkAttachmentDefinition, error) {
	s := n.Spec
	nad, err := frame(n, place{s.NetworkNamespace, s.ResourceName}, o)
	if err != nil {
		return NetworkAttachmentDefinition{}, err
	}
	user, err := parseUserText(s.Capabilities, s.IPAM, s.MetaPluginsConfig)
	if err != nil {
		return NetworkAttachmentDefinition{}, err
	}
	plugin := ibPlugin{
		Type: "ib-sriov", LinkState: linkState(s.LinkState),
		Capabilities: user.capabilities, IPAM: user.ipam,
	}
	return configure(nad, struct {
		head
		ibPlugin
	}{headOf(nad), plugin}, plugin, user.plugins)
}

func renderOVS(n *sriovv1.OVSNetwork, o Options) (NetworkAttachmentDefinition, error) {
	s := n.Spec
	nad, err := frame(n, place{s.NetworkNamespace, s.ResourceName}, o)
	if err != nil {
		return NetworkAttachmentDefinition{}, err
	}
	user, err := parseUserText(s.Capabilities, s.IPAM, s.MetaPluginsConfig)
	if err != nil {
		return NetworkAttachmentDefinition{}, err
	}
	plugin := ovsPlugin{
		Type: "ovs", Bridge: s.Bridge, VLAN: s.Vlan, MTU: s.MTU, Trunk: s.Trunk, InterfaceType: s.InterfaceType,
		Capabilities: user.capabilities, IPAM: user.ipam,
	}
	return configure(nad, struct {
		head
		ovsPlugin
	}{headOf(nad), plugin}, plugin, user.plugins)
}

func linkState(s sriovv1.LinkState) sriovv1.LinkState {
	return oneOf(s, sriovv1.LinkStateAuto, sriovv1.LinkStateEnable, sriovv1.LinkStateDisable)
}

// oneOf is the value when it is one of the known ones and empty otherwise: the API
// admits no other, and a file that was never admitted shall not invent one.
func oneOf[T ~string](value T, known ...T) T {
	if slices.Contains(known, value) {
		return value
	}
	return ""
}
