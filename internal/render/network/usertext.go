// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// object parses the text of a field that holds one JSON object or null, and
// returns it without insignificant blanks. Keys keep their order and strings keep
// their blanks. Text without content is nil.
func object(field, text string) (json.RawMessage, error) {
	if blank(text) {
		return nil, nil
	}
	raw, err := compact(field, text, text, 0)
	if err != nil {
		return nil, err
	}
	if raw[0] != '{' && string(raw) != "null" {
		return nil, at(field, text, indent(text), errors.New("is not a JSON object"), `write an object, like {"type": "host-local"}`)
	}
	return raw, nil
}

// plugins parses the text of a field that holds JSON objects with commas between.
// Text without content is no plugin.
func plugins(field, text string) ([]json.RawMessage, error) {
	if blank(text) {
		return nil, nil
	}
	// As elements of an array the objects can be parsed together. Text that closes
	// the array and goes on is a syntax error of the whole.
	raw, err := compact(field, "["+text+"]", text, 1)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, at(field, text, 0, fmt.Errorf("is not a list of JSON objects: %w", err), listFix)
	}
	for i, element := range list {
		if err := checkPlugin(element); err != nil {
			return nil, at(field, text, offsetOf(text, i), fmt.Errorf("is wrong in element %d: %w", i+1, err), listFix)
		}
	}
	return list, nil
}

const listFix = `write objects with a type and commas between, like {"type": "tuning"}, {"type": "vrf", "vrfname": "blue"}`

// checkPlugin reports why a CNI runtime would refuse the plugin's configuration.
func checkPlugin(raw json.RawMessage) error {
	if raw[0] != '{' {
		return errors.New("it is not a JSON object")
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return err
	}
	var name string
	if err := json.Unmarshal(keys["type"], &name); err != nil || name == "" {
		return errors.New(`it has no "type" that names a CNI plugin`)
	}
	return nil
}

// compact checks that the text is one JSON value and removes insignificant blanks.
// The text is the field's with shift bytes before it; faults are told by their
// place in the field.
func compact(field, text, original string, shift int) (json.RawMessage, error) {
	if i := invalidUTF8(original); i >= 0 {
		return nil, at(field, original, i, errors.New("is not valid JSON: it is not UTF-8"), "write it in UTF-8")
	}
	// Unlike Compact, Unmarshal tells the offset of a fault.
	var value json.RawMessage
	err := json.Unmarshal([]byte(text), &value)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		// The offset counts the offending byte; at the end of the text there is none.
		offset := int(syntax.Offset) - 1 - shift
		if strings.HasPrefix(syntax.Error(), "unexpected end") {
			offset = len(original)
		}
		return nil, at(field, original, offset, fmt.Errorf("is not valid JSON: %w", err), "correct the JSON text at that place")
	case err != nil:
		return nil, at(field, original, 0, fmt.Errorf("is not valid JSON: %w", err), "correct the JSON text")
	}
	var out bytes.Buffer
	if err := json.Compact(&out, value); err != nil {
		return nil, at(field, original, 0, fmt.Errorf("is not valid JSON: %w", err), "correct the JSON text")
	}
	return out.Bytes(), nil
}

// offsetOf finds where element i of comma-separated JSON values begins. The values
// are known to be valid.
func offsetOf(text string, i int) int {
	d := json.NewDecoder(strings.NewReader("[" + text + "]"))
	if _, err := d.Token(); err != nil {
		return 0
	}
	for range i {
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return 0
		}
	}
	// The decoder's offset includes the bracket; after it come the comma, if any,
	// and blanks.
	start := int(d.InputOffset()) - 1
	return start + len(text[start:]) - len(strings.TrimLeft(text[start:], ", \t\r\n"))
}

// blank reports whether the text has nothing but JSON's blanks.
func blank(text string) bool { return indent(text) == len(text) }

// indent is the number of JSON's blanks before the content.
func indent(text string) int { return len(text) - len(strings.TrimLeft(text, " \t\r\n")) }

// invalidUTF8 is the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return -1
}
