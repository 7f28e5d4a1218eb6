// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package speech cuts what controllers tell people to what the API takes. What is longer
// would not be told at all: the API server refuses it as a whole.
package speech

import "unicode/utf8"

const (
	// MaxMessage is the longest message of a condition (metav1.Condition), in bytes to be
	// safe.
	MaxMessage = 32768
	// MaxNote is the longest note of an event (events.k8s.io/v1), in bytes.
	MaxNote = 1024
)

// Message is a text as a condition takes it.
func Message(text string) string { return Clip(text, MaxMessage) }

// Note is a text as an event takes it.
func Note(text string) string { return Clip(text, MaxNote) }

// Clip cuts a text after at most so many bytes, between characters, and marks the cut.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	cut := limit - len(mark)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + mark
}
