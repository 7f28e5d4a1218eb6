// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import (
	"context"
	"testing"
)

func TestContext(t *testing.T) {
	if context.Background() == nil {
		t.Error("nil")
	}
}

// want usetesting: context.Background() could be replaced by t.Context()
