// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"
)

// Set is everything that was read. What could not be read is in Problems beside
// it: one bad object never hides another.
type Set struct {
	// Objects are in the order of the files and of the documents in them.
	Objects []Object
	// Problems are all that is wrong, in the same order.
	Problems []Problem
	// Notes are about what was left out without being wrong.
	Notes []Note
}

// Object is one object of the API and where it stands.
type Object struct {
	Source Source
	// Value is a pointer to one of the kinds of api/v1, or to a ConfigMap.
	Value runtime.Object
	// Kind, Namespace and Name are those of the value.
	Kind, Namespace, Name string

	node *yaml.Node
}

// Label names the object for people: "SriovNetworkNodePolicy kube-system/dpdk".
func (o Object) Label() string { return label(o.Kind, o.Namespace, o.Name) }

func label(kind, namespace, name string) string {
	if name == "" {
		name = "without a name"
	}
	if namespace != "" {
		name = namespace + "/" + name
	}
	return strings.TrimSpace(kind + " " + name)
}

// At is where a field stands, "spec.nicSelector.pfNames[1]"; the nearest place
// that the file has when the field itself is not there.
func (o Object) At(field string) Source {
	at := o.Source
	if line := lineOf(o.node, field); line > 0 {
		at.Line = line
	}
	return at
}

// Inside is where a line of the text under a key of a ConfigMap's data stands,
// counted from 1; where the file has the text in another form than as a literal
// block, it is where the text begins.
func (o Object) Inside(key string, line int) Source {
	at := o.Source
	value := child(child(o.node, "data"), key)
	if value == nil {
		return at
	}
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	at.Line = value.Line
	if value.Style&yaml.LiteralStyle != 0 {
		at.Line += line
	}
	return at
}

// Problem is about a field of the object.
func (o Object) Problem(field, cause, fix string) Problem {
	return Problem{Source: o.At(field), Object: o.Label(), Field: field, Cause: cause, Fix: fix}
}

// Of are the objects of one type, in their order.
func Of[T runtime.Object](s Set) []T {
	var out []T
	for _, o := range s.Objects {
		if v, ok := o.Value.(T); ok {
			out = append(out, v)
		}
	}
	return out
}

// Find is the object with this value.
func (s Set) Find(kind, namespace, name string) (Object, bool) {
	for _, o := range s.Objects {
		if o.Kind == kind && o.Namespace == namespace && o.Name == name {
			return o, true
		}
	}
	return Object{}, false
}

// Source is a place in a file.
type Source struct {
	// File is the name that the file was given by; "-" is standard input.
	File string
	// Document counts the documents of the file from 1; 0 is the file as a whole.
	Document int
	// Line counts from 1; 0 is not known.
	Line int
}

// String is "policy.yaml:12: document 2".
func (s Source) String() string {
	text := s.File
	if text == "-" {
		text = "standard input"
	}
	if s.Line > 0 {
		text = fmt.Sprintf("%s:%d", text, s.Line)
	}
	if s.Document > 0 {
		text = fmt.Sprintf("%s: document %d", text, s.Document)
	}
	return text
}

// Problem is something wrong, where it stands and what to do about it.
type Problem struct {
	Source Source
	// Object names the object; empty when it is not known.
	Object string
	// Field is the path of the field; empty when the problem is about the whole.
	Field string
	// Cause is what is wrong, and Fix what to do; Fix is empty when Cause says it.
	Cause, Fix string
}

// Error is the place, the object, the field, the cause and the fix in one line.
func (p Problem) Error() string {
	parts := []string{p.Source.String()}
	for _, part := range []string{p.Object, p.Field, p.Cause} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, ": ")
	if p.Fix != "" {
		text += "; " + p.Fix
	}
	return text
}

// Note is about something that was left out.
type Note struct {
	Source Source
	Text   string
}

// String is the place and the text.
func (n Note) String() string { return n.Source.String() + ": " + n.Text }
