// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import "testing"

func check(t *testing.T, ok bool) {
	if !ok {
		t.Error("not ok")
	}
}

func TestCheck(t *testing.T) {
	check(t, true)
}

// want thelper: test helper function should start from t.Helper()
