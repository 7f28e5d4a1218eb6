// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// Reason and actions of events about drains. The existing operator uses the same.
const (
	eventReason    = "DrainController"
	actionDrain    = "DrainNode"
	actionComplete = "CompleteDrain"
)

// maxNames is how many of a list are told.
const maxNames = 5

// tell makes an event about a node.
func (r *reconciler) tell(state client.Object, kind, action, format string, args ...any) {
	r.recorder.Eventf(state, nil, kind, eventReason, action, "%s", speech.Note(fmt.Sprintf(format, args...)))
}

// some is the beginning of a list, and how many more there are.
func some(list []string) string {
	if len(list) <= maxNames {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNames], ", "), len(list)-maxNames)
}

// poolName is how a pool is called in a sentence.
func poolName(name string) string {
	if name == rollout.BuiltIn {
		return "the built-in pool"
	}
	return "pool " + name
}

// waiting says why a node waits. It names no other node: that would have to be written
// anew to every node that waits, each time one goes. The pool's status names them.
func waiting(cause rollout.Cause, pool rollout.Report, pools []string) string {
	switch cause {
	case rollout.Full:
		if pool.Pool.Name == rollout.BuiltIn {
			return "waits for its turn; of the nodes that no pool selects one at a time may be out"
		}
		return fmt.Sprintf("waits for its turn; of the %s of pool %s at most %d may be out", nodes(pool.Nodes), pool.Pool.Name, pool.Limit)
	case rollout.Closed:
		return fmt.Sprintf("waits; maxUnavailable of pool %s is 0, so no node goes; raise it", pool.Pool.Name)
	case rollout.TwoPools:
		return fmt.Sprintf("waits; the node is in the pools %s, and may be in one; change nodeSelector of the others", strings.Join(pools, " and "))
	case rollout.Silent:
		return "waits; its kubelet does not report (Ready is Unknown), so no pod could end on it"
	case rollout.NoCause:
	}
	return ""
}

func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}
