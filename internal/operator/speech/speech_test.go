// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package speech

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLongTextIsCutBetweenCharacters(t *testing.T) {
	for limit := 4; limit < 20; limit++ {
		got := Clip(strings.Repeat("ä", 12), limit)
		if len(got) > limit || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("at %d: %q has %d bytes", limit, got, len(got))
		}
	}
	if got := Clip("short", 5); got != "short" {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsToldIsNotLongerThanTheAPITakes(t *testing.T) {
	long := strings.Repeat("a", 100000)
	if got := Message(long); len(got) != 32768 {
		t.Errorf("a message has %d bytes", len(got))
	}
	if got := Note(long); len(got) != 1024 {
		t.Errorf("a note has %d bytes", len(got))
	}
}
