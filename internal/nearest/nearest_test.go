// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nearest

import (
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	known := []string{"numVfs", "nicName", "nicType", "mtu", "zzz"}
	for name, c := range map[string]struct{ word, want string }{
		"one letter differs":                   {"numVf", "did you mean numVfs?"},
		"only the case differs":                {"NUMVFS", "did you mean numVfs?"},
		"of two that are near, the nearer one": {"nicTpye", "did you mean nicType?"},
		"of equals, the first by name":         {"nicTame", "did you mean nicName?"},
		"nothing is near":                      {"resourceful", ""},
		"too long to be any of them":           {strings.Repeat("x", 1<<20), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := DidYouMean(c.word, known); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if known[0] != "numVfs" || known[4] != "zzz" {
		t.Errorf("the words were moved: %v", known)
	}
}
