// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// fingerprint says what the device plugin of the node finds when it starts: the VFs of
// the PFs that are asked for, and its configuration. Nothing that changes while pods come
// and go is in it.
func fingerprint(want desired.Node, inv hw.Inventory, config string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", config)
	for _, pf := range want.PFs() {
		saw, ok := inv.PF(pf.Addr)
		if !ok {
			continue
		}
		fmt.Fprintf(h, "%s %s %s\n", saw.Addr, saw.Netdev, saw.LinkType)
		for i := range saw.VFs {
			vf := &saw.VFs[i]
			fmt.Fprintf(h, "%d %s %s %s %s %s\n", vf.Index, vf.Addr, vf.VendorID, vf.DeviceID, vf.Driver, vf.VDPA)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// pluginMove is what is to be done with a pod of the device plugin.
type pluginMove uint8

const (
	leavePlugin   pluginMove = iota
	releasePlugin            // let it go on, and note what it finds
	stampPlugin              // note what it has found
	stopPlugin               // delete it; its DaemonSet makes another
)

// settled is what to do with a plugin's pod when nothing is left to do on the node. A
// plugin is stopped only when it would find something else than when it started.
func settled(pod *corev1.Pod, found, now string) pluginMove {
	switch {
	case pod.DeletionTimestamp != nil:
		return leavePlugin
	case waits(pod):
		return releasePlugin
	case !begun(pod):
		return leavePlugin
	case found == "":
		return stampPlugin
	case found != now:
		return stopPlugin
	}
	return leavePlugin
}

// waits reports whether the plugin has not begun: its pod waits for the node.
func waits(pod *corev1.Pod) bool {
	return pod.Annotations[sriovv1.AnnotationDevicePluginWaitConfig] == sriovv1.AnnotationTrue
}

// begun reports whether the plugin itself may run. Its pod is pending until the container
// that waits has ended.
func begun(pod *corev1.Pod) bool { return !waits(pod) && pod.Status.Phase == corev1.PodRunning }

// byPod is something about pods.
type byPod map[types.UID]string

// keep forgets pods that are gone.
func (b byPod) keep(pods []*corev1.Pod) {
	there := map[types.UID]bool{}
	for _, pod := range pods {
		there[pod.UID] = true
	}
	maps.DeleteFunc(b, func(uid types.UID, _ string) bool { return !there[uid] })
}

// foundBy is what a plugin found when it started; what is on its way to the API server
// counts.
func (d *daemon) foundBy(pod *corev1.Pod) string {
	if have := pod.Annotations[sriovv1.AnnotationDevicePluginFound]; have != "" {
		return have
	}
	return d.found[pod.UID]
}
