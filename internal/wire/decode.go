// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	goyaml "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// DecodeNodeState reads a node state from YAML or JSON in which PCI ids need no
// quotes. Fields that are not known are ignored.
func DecodeNodeState(doc []byte) (sriovv1.SriovNetworkNodeState, error) {
	var state sriovv1.SriovNetworkNodeState
	quoted, err := QuoteIDs(doc)
	if err != nil {
		return state, err
	}
	if err := yaml.Unmarshal(quoted, &state); err != nil {
		return state, fmt.Errorf("read the node state: %w", err)
	}
	return state, nil
}

// QuoteIDs makes PCI ids that are written without quotes into strings: those of
// the fields vendor and deviceID, anywhere in one YAML document. The digits stay
// as they are written: 0123 is no octal number here, and 1e10 is no float. A
// document without such ids is returned as it is.
func QuoteIDs(doc []byte) ([]byte, error) {
	var root goyaml.Node
	if err := goyaml.Unmarshal(doc, &root); err != nil {
		return nil, fmt.Errorf("read the YAML document: %w", err)
	}
	if quoteIDs(&root) == 0 {
		return doc, nil
	}
	out, err := goyaml.Marshal(&root)
	if err != nil {
		return nil, fmt.Errorf("write the YAML document with quoted ids: %w", err)
	}
	return out, nil
}

// quoteIDs is how many ids were quoted under the node.
func quoteIDs(n *goyaml.Node) int {
	count := 0
	for i, child := range n.Content {
		value := n.Kind == goyaml.MappingNode && i%2 == 1
		if value && isID(n.Content[i-1]) && isNumber(child) {
			child.Tag, child.Style = "!!str", goyaml.DoubleQuotedStyle
			count++
			continue
		}
		count += quoteIDs(child)
	}
	return count
}

func isID(key *goyaml.Node) bool { return key.Value == "vendor" || key.Value == "deviceID" }

// isNumber reports whether the value was written without quotes and YAML takes
// it for something other than a string.
func isNumber(v *goyaml.Node) bool {
	return v.Kind == goyaml.ScalarNode && (v.ShortTag() == "!!int" || v.ShortTag() == "!!float")
}
