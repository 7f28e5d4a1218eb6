// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command kubelet answers in a VM, over the kubelet's own socket, which pods hold which devices. A file says what, and
// is read for each answer:
//
//	[{"namespace": "default", "name": "a", "devices": ["0000:01:10.0"]}]
//
//	kubelet SOCKET FILE
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kubelet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: kubelet SOCKET FILE")
	}
	if err := os.MkdirAll(filepath.Dir(args[0]), 0o750); err != nil {
		return fmt.Errorf("make the socket's folder: %w", err)
	}
	// One of a process that was killed.
	if err := os.Remove(args[0]); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the old socket: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", args[0])
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := grpc.NewServer()
	podresources.RegisterPodResourcesListerServer(server, scripted{file: args[1]})
	return server.Serve(listener)
}

type scripted struct {
	podresources.UnimplementedPodResourcesListerServer
	file string
}

// pod is a pod in the file.
type pod struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Devices   []string `json:"devices"`
}

// List answers what the file says.
func (s scripted) List(context.Context, *podresources.ListPodResourcesRequest) (*podresources.ListPodResourcesResponse, error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return nil, fmt.Errorf("read who holds what: %w", err)
	}
	var pods []pod
	if err := json.Unmarshal(text, &pods); err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	out := &podresources.ListPodResourcesResponse{}
	for _, p := range pods {
		out.PodResources = append(out.PodResources, &podresources.PodResources{
			Namespace: p.Namespace, Name: p.Name,
			Containers: []*podresources.ContainerResources{{
				Name:    "main",
				Devices: []*podresources.ContainerDevices{{ResourceName: "openshift.io/vfs", DeviceIds: p.Devices}},
			}},
		})
	}
	return out, nil
}
