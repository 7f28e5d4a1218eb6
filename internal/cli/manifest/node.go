// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// child is the value of a key; nil when there is none.
func child(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// scalar is the text of a single value; empty for anything else.
func scalar(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return ""
	}
	return node.Value
}

// lineOf is the line of the deepest part of a path that the tree has.
func lineOf(node *yaml.Node, path string) int {
	if node == nil {
		return 0
	}
	line := node.Line
	for step := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		key, value := walk(node, step)
		if value == nil {
			break
		}
		node, line = value, key.Line
	}
	return line
}

// walk goes one step: to a field, or to an item in brackets.
func walk(node *yaml.Node, step string) (key, value *yaml.Node) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if number, ok := strings.CutPrefix(step, "["); ok && node.Kind == yaml.SequenceNode {
		i, err := strconv.Atoi(strings.TrimSuffix(number, "]"))
		if err != nil || i < 0 || i >= len(node.Content) {
			return nil, nil
		}
		return node.Content[i], node.Content[i]
	}
	if node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == strings.Trim(step, "[]") {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// documents are the top nodes of a file.
func documents(file string) ([]*yaml.Node, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []*yaml.Node
	for i, part := range split(text) {
		var doc yaml.Node
		if err := yaml.Unmarshal(part.text, &doc); err != nil {
			return nil, fmt.Errorf("%s: document %d: %w", file, i+1, err)
		}
		shift(&doc, part.line-1, map[*yaml.Node]bool{})
		out = append(out, doc.Content...)
	}
	return out, nil
}
