// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// kubelet answers as it was told, over a real socket.
type kubelet struct {
	podresources.UnimplementedPodResourcesListerServer
	answer *podresources.ListPodResourcesResponse
	err    error
}

func (k kubelet) List(context.Context, *podresources.ListPodResourcesRequest) (*podresources.ListPodResourcesResponse, error) {
	return k.answer, k.err
}

// serve starts a kubelet and returns its socket.
func serve(t *testing.T, k podresources.PodResourcesListerServer) string {
	t.Helper()
	socket := filepath.Join(shortDir(t), "kubelet.sock")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	podresources.RegisterPodResourcesListerServer(server, k)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// shortDir is a folder for sockets, whose paths may have 107 characters (unix(7)).
// Those of t.TempDir have a test's name in them.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kubelet") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func plugin(resource string, ids ...string) *podresources.ContainerDevices {
	return &podresources.ContainerDevices{ResourceName: resource, DeviceIds: ids}
}

func claim(driver, device string, cdi ...string) *podresources.DynamicResource {
	r := &podresources.ClaimResource{DriverName: driver, PoolName: "node1", DeviceName: device}
	for _, name := range cdi {
		r.CdiDevices = append(r.CdiDevices, &podresources.CDIDevice{Name: name})
	}
	return &podresources.DynamicResource{ClaimName: "c", ClaimNamespace: "apps", ClaimResources: []*podresources.ClaimResource{r}}
}

func addrs(t *testing.T, texts ...string) []hw.PCIAddr {
	t.Helper()
	var out []hw.PCIAddr
	for _, text := range texts {
		a, err := hw.ParsePCIAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

func TestWhoHoldsWhat(t *testing.T) {
	container := func(d []*podresources.ContainerDevices, r ...*podresources.DynamicResource) *podresources.ContainerResources {
		return &podresources.ContainerResources{Name: "c", Devices: d, DynamicResources: r}
	}
	pod := func(ns, name string, containers ...*podresources.ContainerResources) *podresources.PodResources {
		return &podresources.PodResources{Namespace: ns, Name: name, Containers: containers}
	}
	socket := serve(t, kubelet{answer: &podresources.ListPodResourcesResponse{PodResources: []*podresources.PodResources{
		pod("kube-system", "etcd-node1"),
		pod("web", "two", container([]*podresources.ContainerDevices{plugin("openshift.io/b", "0000:01:10.2")}),
			container([]*podresources.ContainerDevices{plugin("openshift.io/a", "0000:01:10.0", "0000:01:10.2"), plugin("nvidia.com/gpu", "GPU-5c3e")})),
		pod("apps", "claims", container(nil,
			claim("sriovnetwork.k8snetworkplumbingwg.io", "0000-01-10-4"),
			claim("example.com", "vf3", "example.com/vf=0000:01:10.6"))),
		pod("apps", "subfunction", container([]*podresources.ContainerDevices{plugin("nvidia.com/sf", "mlx5_core.sf.4")})),
	}}})
	got, err := At(socket).Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Pod{
		{Namespace: "apps", Name: "claims", Devices: addrs(t, "0000:01:10.4", "0000:01:10.6")},
		{Namespace: "web", Name: "two", Devices: addrs(t, "0000:01:10.0", "0000:01:10.2")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnAddressIsFoundInWhateverADeviceIsCalled(t *testing.T) {
	for name, want := range map[string]string{
		"0000:01:10.0":                         "0000:01:10.0",
		"0000-01-10-0":                         "0000:01:10.0",
		"pci-0000-af-02-1":                     "0000:af:02.1",
		"10000:E1:00.4":                        "10000:e1:00.4",
		"vendor.com/vf=claim-1-0000_01_10_6":   "0000:01:10.6",
		"k8s.cni.cncf.io/x=0000:3b:1f.7/extra": "0000:3b:1f.7",
		"mlx5_core.sf.4":                       "",
		"GPU-8f2c6d3a-1111-2222-3333-44445555": "",
		"0000:01:20.0":                         "", // there are 32 devices on a bus
		"0000:01:10.8":                         "",
		"0000:01:10.01":                        "",
		"":                                     "",
	} {
		got, ok := addressIn(name)
		if text := got.String(); ok != (want != "") || ok && text != want {
			t.Errorf("in %q: %s, %t; want %q", name, text, ok, want)
		}
	}
}

// silent is a kubelet that is too old.
type silent struct {
	podresources.UnimplementedPodResourcesListerServer
}

func TestNothingKnownIsAnErrorThatSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "kubelet.sock")
	for name, c := range map[string]struct {
		socket string
		want   string
		is     error
	}{
		"no socket":                         {missing, "see that the kubelet runs", fs.ErrNotExist},
		"something else is there":           {file, "it is no socket", fs.ErrInvalid},
		"an old kubelet":                    {serve(t, silent{}), "older than 1.20", nil},
		"a kubelet that is asked too often": {serve(t, kubelet{err: status.Error(codes.ResourceExhausted, "rejected by rate limit")}), "asked too often", nil},
	} {
		t.Run(name, func(t *testing.T) {
			pods, err := At(c.socket).Pods(t.Context())
			if pods != nil || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.socket) {
				t.Errorf("got %v, %v", pods, err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("the cause %v is not in %v", c.is, err)
			}
		})
	}
}

func TestAKubeletThatIsGoneDoesNotHoldAnybodyUp(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := At(socket).Pods(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody listens there") {
		t.Errorf("got %v", err)
	}
}
