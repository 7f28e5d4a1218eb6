// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	_ "context"
	_ "github.com/go-logr/logr"
	_ "k8s.io/client-go/kubernetes"
	_ "k8s.io/klog/v2"
	_ "log/slog"
	_ "net/http"
	_ "os"
	_ "os/exec"
	_ "sigs.k8s.io/controller-runtime"
	_ "syscall"
)

// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
// want depguard: not allowed from list 'pure'
