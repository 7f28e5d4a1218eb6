// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"fmt"
	"io"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// Read loads a capture from a tar stream, which may be compressed with gzip.
func Read(r io.Reader) (host.Reader, error) {
	l := newLoader()
	if err := l.tar(r); err != nil {
		return host.Reader{}, fmt.Errorf("read capture: %w", err)
	}
	out, err := l.reader()
	if err != nil {
		return host.Reader{}, fmt.Errorf("read capture: %w", err)
	}
	return out, nil
}
