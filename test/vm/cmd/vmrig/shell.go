// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/kubeovn/sriov-network-operator/test/vm/image"
)

func shell(ctx context.Context, b image.Builder) error { return nil }
