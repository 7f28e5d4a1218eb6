// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubeovn/sriov-network-operator/internal/nearest"
)

// The limits of one key's text.
const (
	// maxText is what the API allows for a whole ConfigMap, in bytes.
	maxText = 1 << 20
	// maxEntries is more than any machine has PFs and ranges.
	maxEntries = 1024
	// maxProblems is how many are told; who mends these finds the others.
	maxProblems = 20
)

// interfaces is the only field of a text.
const interfaces = "interfaces"

// fault is what is wrong with a value; the zero fault is none.
type fault struct{ cause, fix string }

// reader reads the text of one key.
type reader struct {
	configMap, key string
	kinds          *kinds
	fields         []field
	entries        []Entry
	// from says which item a name of an entry was first used by.
	from     map[string]int
	problems []Problem
}

// read reads a value. There are entries or problems, or neither, never both.
func read(key string, v value, k *kinds) reading {
	r := &reader{configMap: v.configMap, key: key, kinds: k, fields: fields(), from: map[string]int{}}
	switch {
	case v.binary:
		r.say(nil, "", fault{"the value is binary", "write it as text in UTF-8"})
	case len(v.text) > maxText:
		r.say(nil, "", fault{fmt.Sprintf("the text has %d bytes, and %d is the most", len(v.text), maxText), ""})
	default:
		r.document(v.text)
	}
	if len(r.problems) > 0 {
		r.entries = nil
	}
	return reading{value: v, entries: r.entries, problems: r.problems}
}

func (r *reader) say(at *yaml.Node, field string, f fault) {
	p := Problem{ConfigMap: r.configMap, Key: r.key, Field: field, Cause: f.cause, Fix: f.fix}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, p)
	}
}

// full reports whether there is no use in looking further.
func (r *reader) full() bool { return len(r.problems) >= maxProblems }

// document reads the whole text: one document of YAML, of which JSON is a part.
func (r *reader) document(text string) {
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	var doc, more yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		r.say(nil, "", fault{"the text is empty", "write interfaces: [] if nothing is wanted here"})
		return
	}
	if err == nil {
		if err = decoder.Decode(&more); errors.Is(err, io.EOF) {
			r.top(doc.Content[0])
			return
		}
	}
	if err == nil {
		r.say(&more, "", fault{"there is more than one document", "remove the line ---"})
		return
	}
	line, cause := syntax(err)
	r.say(&yaml.Node{Line: line}, "", fault{cause: cause})
}

// yamlLine is how the YAML package begins its messages.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax is the line of a syntax error, 0 when it is not known, and its cause.
func syntax(err error) (line int, cause string) {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	if m == nil {
		return 0, text
	}
	line, _ = strconv.Atoi(m[1]) // empty when the message has no line
	return line, "not valid YAML: " + strings.TrimPrefix(text, m[0])
}

// top reads what the text holds.
func (r *reader) top(node *yaml.Node) {
	node = follow(node)
	if node.Kind != yaml.MappingNode {
		r.say(node, "", fault{describe(node) + " is no mapping", "begin with interfaces:"})
		return
	}
	var list *yaml.Node
	for i := 0; i+1 < len(node.Content) && !r.full(); i += 2 {
		key := node.Content[i]
		switch {
		case key.Value != interfaces:
			r.say(key, shorten(key.Value), fault{"there is no such field", nearest.DidYouMean(key.Value, []string{interfaces})})
		case list != nil:
			r.say(key, interfaces, fault{"the field is given twice", "remove one of them"})
		default:
			list = follow(node.Content[i+1])
		}
	}
	switch {
	case list == nil && len(r.problems) == 0:
		r.say(node, interfaces, fault{"the field is missing", "write interfaces: [] if nothing is wanted here"})
	case list == nil:
	case list.Kind != yaml.SequenceNode:
		r.say(list, interfaces, fault{"a list is needed here, and this is " + describe(list), "write interfaces: [] if nothing is wanted here"})
	case len(list.Content) > maxEntries:
		r.say(list, interfaces, fault{fmt.Sprintf("there are %d items, and %d is the most", len(list.Content), maxEntries), ""})
	default:
		for i := 0; i < len(list.Content) && !r.full(); i++ {
			r.item(i, follow(list.Content[i]))
		}
	}
}

// follow is what an alias stands for.
func follow(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// describe names a value for people.
func describe(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case node.ShortTag() == "!!null":
		return "empty"
	}
	return strconv.Quote(shorten(node.Value))
}

// shorten keeps what people pasted out of messages.
func shorten(text string) string {
	const most = 80
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most]) + "…"
}

// item reads one item of interfaces.
func (r *reader) item(i int, node *yaml.Node) {
	path := fmt.Sprintf("%s[%d]", interfaces, i)
	if node.Kind != yaml.MappingNode {
		r.say(node, path, fault{"a mapping of fields is needed here, and this is " + describe(node), ""})
		return
	}
	before := len(r.problems)
	d := &draft{kinds: r.kinds, given: map[string]given{}}
	for j := 0; j+1 < len(node.Content) && !r.full(); j += 2 {
		r.field(d, path, node.Content[j], follow(node.Content[j+1]))
	}
	if len(r.problems) > before {
		return
	}
	for _, lack := range d.complete(r.key) {
		at, field := node, path
		if g, ok := d.given[lack.field]; ok {
			at, field = g.value, path+"."+g.as
		} else if lack.field != "" {
			field = path + "." + lack.field
		}
		r.say(at, field, lack.fault)
	}
	name := d.entry.Policy.Name
	if first, ok := r.from[name]; ok && name != "" {
		r.say(node, path, fault{fmt.Sprintf("%s is named before, in %s[%d]", d.nic(), interfaces, first),
			"make them one item, or give each its own range of VFs, as in ens1f0#0-3"})
	}
	if len(r.problems) > before {
		return
	}
	r.from[name] = i
	r.entries = append(r.entries, Entry{Entry: d.entry, Line: node.Line})
}

// field reads one field of an item.
func (r *reader) field(d *draft, path string, key, value *yaml.Node) {
	path += "." + shorten(key.Value)
	i := slices.IndexFunc(r.fields, func(f field) bool { return f.called(key.Value) })
	if i < 0 {
		r.say(key, path, fault{"there is no such field", suggest(key.Value, r.fields)})
		return
	}
	f := r.fields[i]
	if first, twice := d.given[f.names[0]]; twice {
		cause := "the field is given twice"
		if first.as != key.Value {
			cause = "it means the same as " + first.as + ", which is given too"
		}
		r.say(key, path, fault{cause, "remove one of them"})
		return
	}
	d.given[f.names[0]] = given{as: key.Value, value: value}
	if value.Kind != yaml.ScalarNode {
		r.say(value, path, fault{"a single value is needed here, and this is " + describe(value), ""})
		return
	}
	if wrong := f.set(d, value); wrong.cause != "" {
		r.say(value, path, wrong)
	}
}

func suggest(word string, known []field) string {
	if word == "<<" {
		return "write the fields out"
	}
	if slices.Contains([]string{"bridge", "netFilter", "nodeSelector", "nicSelector", "vendor", "deviceID", "rootDevices", "pfNames"}, word) {
		return "it is a field of policies alone; here nicName, nicType and pciAddress select"
	}
	var names []string
	for _, f := range known {
		names = append(names, f.names...)
	}
	return nearest.DidYouMean(word, names)
}
