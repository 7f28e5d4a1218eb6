// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Who looks for a reason must find it spelled as objects have it.
func TestThePageOfTroublesNamesReasonsThatThereAre(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/how-to/troubleshoot.md"))
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile("`([A-Za-z]+)`")
	seen, inTable := 0, false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		switch {
		case len(cells) < 3:
			inTable = false
		case strings.TrimSpace(cells[1]) == "Reason":
			inTable = true
		case inTable:
			for _, match := range word.FindAllStringSubmatch(cells[1], -1) {
				seen++
				if !slices.Contains(reason.All(), reason.Reason(match[1])) {
					t.Errorf("no object has the reason %s", match[1])
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("the page names %d reasons; its tables cannot be read", seen)
	}
}
