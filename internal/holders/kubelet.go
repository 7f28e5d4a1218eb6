// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

const (
	// patience is how long the kubelet may take to answer. It answers from memory.
	patience = 10 * time.Second
	// maxAnswer bounds the answer as the kubelet's own client does
	// (pkg/kubelet/apis/podresources, defaultPodResourcesMaxSize).
	maxAnswer = 16 << 20
)

// Kubelet is the kubelet of this node. The zero Kubelet has no socket: make one with
// At.
type Kubelet struct{ socket string }

// At is the kubelet whose PodResources socket (k8s.io/kubelet, pkg/apis/podresources)
// is there, by its absolute path: pod-resources/kubelet.sock in the kubelet's root
// directory.
func At(socket string) Kubelet { return Kubelet{socket: socket} }

// Pod is a pod and the devices that it holds.
type Pod struct {
	Namespace, Name string
	// Devices are PCI addresses, sorted.
	Devices []hw.PCIAddr
}

// Pods are the pods that hold devices with a PCI address, sorted by namespace and
// name: those to which a device plugin gave one, and those whose resource claims
// hold one; DaemonSet and static pods, too.
//
// The kubelet says no uid. It leaves out containers that have ended or are still to
// begin while others of the pod run, and init containers unless they are sidecars:
// what such a one holds is seen on the machine alone (hw.VF.Busy).
//
// An error means that nothing is known, and never that nobody holds anything.
func (k Kubelet) Pods(ctx context.Context) ([]Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pods, err := k.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the kubelet at %s which pods hold VFs: %w", k.socket, k.explain(err))
	}
	return pods, nil
}

func (k Kubelet) list(ctx context.Context) ([]Pod, error) {
	// A missing socket would only be tried again until ctx ends.
	if info, err := os.Stat(k.socket); err != nil {
		return nil, err
	} else if info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%w: it is no socket", fs.ErrInvalid)
	}
	conn, err := grpc.NewClient("unix://"+k.socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // all that was asked has been answered
	answer, err := podresources.NewPodResourcesListerClient(conn).List(ctx, &podresources.ListPodResourcesRequest{})
	if err != nil {
		return nil, err
	}
	return podsOf(answer), nil
}

// explain says what can be done about an error.
func (k Kubelet) explain(err error) error {
	fix, known := map[codes.Code]string{
		codes.Unimplemented:     "the kubelet is older than 1.20 and does not serve PodResources v1; update it",
		codes.Unavailable:       "nobody listens there; see whether the kubelet runs (systemctl status kubelet)",
		codes.ResourceExhausted: "it is asked too often by somebody, or its answer is too large",
		codes.DeadlineExceeded:  "it does not answer; see its log (journalctl -u kubelet)",
	}[status.Code(err)]
	if !known {
		fix = "see that the kubelet runs, and that its root directory is the one whose socket this is"
	}
	return fmt.Errorf("%w; %s", err, fix)
}

// podsOf are the pods of an answer that hold something with a PCI address.
func podsOf(answer *podresources.ListPodResourcesResponse) []Pod {
	var out []Pod
	for _, p := range answer.GetPodResources() {
		pod := Pod{Namespace: p.GetNamespace(), Name: p.GetName()}
		for _, c := range p.GetContainers() {
			pod.Devices = append(pod.Devices, devicesOf(c)...)
		}
		if len(pod.Devices) == 0 {
			continue
		}
		slices.SortFunc(pod.Devices, hw.PCIAddr.Compare)
		pod.Devices = slices.Compact(pod.Devices)
		out = append(out, pod)
	}
	slices.SortFunc(out, func(a, b Pod) int {
		if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func devicesOf(c *podresources.ContainerResources) []hw.PCIAddr {
	var names []string
	for _, d := range c.GetDevices() {
		names = append(names, d.GetDeviceIds()...)
	}
	for _, d := range c.GetDynamicResources() {
		for _, r := range d.GetClaimResources() {
			names = append(names, r.GetDeviceName())
			for _, cdi := range r.GetCdiDevices() {
				names = append(names, cdi.GetName())
			}
		}
	}
	var out []hw.PCIAddr
	for _, name := range names {
		if addr, ok := addressIn(name); ok {
			out = append(out, addr)
		}
	}
	return out
}
