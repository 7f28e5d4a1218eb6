// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubeovn/sriov-network-operator/internal/nearest"
)

// maxNodes bounds what is looked at of one object, so that aliases of aliases end.
const maxNodes = 1 << 20

// mergeTag is how the YAML package marks the key "<<".
const mergeTag = "!!merge"

// checker holds an object's text against its Go type. It finds all that does not
// fit, where a decoder stops at the first.
type checker struct {
	object   Object
	problems []Problem
	budget   int
}

func (c *checker) say(node *yaml.Node, field, cause, fix string) {
	at := c.object.Source
	if node != nil && node.Line > 0 {
		at.Line = node.Line
	}
	c.problems = append(c.problems, Problem{Source: at, Object: c.object.Label(), Field: field, Cause: cause, Fix: fix})
}

// value checks one value. Values that people write in another way than JSON does
// are rewritten in place.
func (c *checker) value(node *yaml.Node, t reflect.Type, path string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if c.budget--; c.budget < 0 {
		if c.budget == -1 {
			c.say(node, path, "the object is too large", "")
		}
		return
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if node.Tag == "!!null" {
		return
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		text(node) // a type that reads itself
		return
	}
	switch kind := t.Kind(); {
	case kind == reflect.Struct:
		c.fields(node, t, path)
	case kind == reflect.Map:
		c.entries(node, t, path)
	case kind == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		c.scalar(node, reflect.TypeFor[string](), path) // bytes are text in base64
	case kind == reflect.Slice:
		c.items(node, t, path)
	default:
		c.scalar(node, t, path)
	}
}

// text makes a scalar that YAML takes for a time a string, as JSON has it.
func text(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!timestamp" {
		node.Tag, node.Style = "!!str", yaml.DoubleQuotedStyle
	}
}

func (c *checker) fields(node *yaml.Node, t reflect.Type, path string) {
	if !c.is(node, yaml.MappingNode, path, "a mapping of fields") {
		return
	}
	known := fieldsOf(t)
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Tag == mergeTag {
			continue // what is merged in was checked where it stands
		}
		full := join(path, key.Value)
		field, ok := known[key.Value]
		switch {
		case !ok:
			c.say(key, full, "there is no such field", nearest.DidYouMean(key.Value, slices.Collect(maps.Keys(known))))
		case seen[key.Value]:
			c.say(key, full, "the field is given twice", "remove one of them")
		default:
			c.value(value, field, full)
		}
		seen[key.Value] = true
	}
}

func (c *checker) entries(node *yaml.Node, t reflect.Type, path string) {
	if !c.is(node, yaml.MappingNode, path, "a mapping of keys") {
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Tag == mergeTag {
			continue // what is merged in was checked where it stands
		}
		full := fmt.Sprintf("%s[%s]", path, key.Value)
		if seen[key.Value] {
			c.say(key, full, "the key is given twice", "remove one of them")
		}
		seen[key.Value] = true
		c.value(node.Content[i+1], t.Elem(), full)
	}
}

func (c *checker) items(node *yaml.Node, t reflect.Type, path string) {
	if !c.is(node, yaml.SequenceNode, path, "a list") {
		return
	}
	for i, item := range node.Content {
		c.value(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (c *checker) is(node *yaml.Node, kind yaml.Kind, path, what string) bool {
	if node.Kind == kind {
		return true
	}
	c.say(node, path, fmt.Sprintf("%s is needed here, and this is %s", what, describe(node)), "")
	return false
}

// describe names what a value is, for people.
func describe(node *yaml.Node) string {
	if node.Kind == yaml.MappingNode {
		return "a mapping"
	}
	if node.Kind == yaml.SequenceNode {
		return "a list"
	}
	return fmt.Sprintf("%q", node.Value)
}

func (c *checker) scalar(node *yaml.Node, t reflect.Type, path string) {
	if !c.is(node, yaml.ScalarNode, path, "a single value") {
		return
	}
	tag, value := node.ShortTag(), node.Value
	switch kind := t.Kind(); {
	case kind == reflect.Bool:
		if b, ok := oldBool(node); ok {
			node.Value, node.Tag = fmt.Sprint(b), "!!bool"
			return
		}
		if tag != "!!bool" {
			c.say(node, path, fmt.Sprintf("%q is neither true nor false", value), "")
		}
	case kind == reflect.String:
		c.stringValue(node, path)
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		if tag != "!!int" || strings.HasPrefix(value, "-") {
			c.say(node, path, fmt.Sprintf("%q is no whole number from 0", value), "")
		}
	default:
		if tag != "!!int" {
			c.say(node, path, fmt.Sprintf("%q is no whole number", value), "")
		}
	}
}

// stringValue takes ids without quotes as they stand: 1018 is the id 1018, and
// what a number it would be does not matter.
func (c *checker) stringValue(node *yaml.Node, path string) {
	text(node)
	tag := node.ShortTag()
	if _, isBool := oldBool(node); tag == "!!str" && !isBool {
		return
	}
	if strings.HasSuffix(path, ".vendor") || strings.HasSuffix(path, ".deviceID") {
		node.Tag = "!!str"
		return
	}
	kind := map[string]string{"!!int": "a number", "!!float": "a number", "!!bool": "true or false"}[tag]
	if kind == "" {
		kind = "true or false"
	}
	c.say(node, path, fmt.Sprintf("%s without quotes is %s, and text is needed here", node.Value, kind), fmt.Sprintf("write %q, with the quotes", node.Value))
}

// oldBool is what Kubernetes reads in words that YAML 1.1 took for booleans.
func oldBool(node *yaml.Node) (value, ok bool) {
	if node.Style != 0 || node.ShortTag() != "!!str" {
		return false, false
	}
	switch node.Value {
	case "yes", "Yes", "YES", "on", "On", "ON":
		return true, true
	case "no", "No", "NO", "off", "Off", "OFF":
		return false, true
	}
	return false, false
}

// fieldsOf are the fields of a struct by their names in JSON, embedded structs
// included.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && f.Anonymous:
			maps.Copy(out, fieldsOf(f.Type))
		case name != "":
			out[name] = f.Type
		}
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
