// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"strings"
)

// FieldError says which field of a network cannot be rendered, where in its text
// the fault is, and what to do about it.
type FieldError struct {
	// Field is the path of the field, "spec.ipam".
	Field string
	// Cause completes the sentence that Field begins: "is not valid JSON: …".
	Cause error
	// Offset counts the bytes of the field's text before the fault, from 0. It is
	// valid only when Line is not 0.
	Offset int
	// Line and Column are those of the fault in the field's text, from 1; a column
	// is one byte wide. Both are 0 when the fault is not in the text.
	Line, Column int
	// Fix is what a person can do about it.
	Fix string
}

// Error is one sentence with the field, the place, the cause and the fix.
func (e *FieldError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v", e.Field, e.Cause)
	if e.Line > 0 {
		fmt.Fprintf(&b, " (line %d, column %d)", e.Line, e.Column)
	}
	if e.Fix != "" {
		fmt.Fprintf(&b, "; %s", e.Fix)
	}
	return b.String()
}

// Unwrap is the cause.
func (e *FieldError) Unwrap() error { return e.Cause }

// at makes a FieldError for the byte at offset of the text.
func at(field, text string, offset int, cause error, fix string) *FieldError {
	offset = min(max(offset, 0), len(text))
	before := text[:offset]
	return &FieldError{
		Field: field, Cause: cause, Fix: fix, Offset: offset,
		Line:   1 + strings.Count(before, "\n"),
		Column: offset - strings.LastIndexByte(before, '\n'),
	}
}

// about makes a FieldError for a field as a whole.
func about(field, cause, fix string) *FieldError {
	return &FieldError{Field: field, Cause: errors.New(cause), Fix: fix}
}
