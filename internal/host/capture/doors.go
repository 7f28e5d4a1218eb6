// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// ErrNotRecorded says that nobody asked this when the machine was recorded, so
// that the answer is not known.
var ErrNotRecorded = errors.New("not in the capture")

// fault is an error as it was recorded.
type fault struct {
	// Kind is what errors.Is can find in it: "unsupported" for
	// host.ErrUnsupported, "not-exist" for fs.ErrNotExist, an errno's name, or
	// empty.
	Kind string `json:"kind,omitempty"`
	Text string `json:"text"`
	// Op is the operation on a file that failed: "open", "read", "readdir".
	Op string `json:"op,omitempty"`
}

// kind is an error that survives recording.
type kind struct {
	name string
	err  error
}

// kinds are in the order in which they are looked for.
func kinds() []kind {
	return []kind{
		{"unsupported", host.ErrUnsupported},
		{"not-recorded", ErrNotRecorded},
		{"EOPNOTSUPP", syscall.EOPNOTSUPP}, {"EINVAL", syscall.EINVAL}, {"EACCES", syscall.EACCES}, {"EPERM", syscall.EPERM},
		{"EIO", syscall.EIO}, {"ENODEV", syscall.ENODEV}, {"ENXIO", syscall.ENXIO}, {"EBUSY", syscall.EBUSY},
		{"EAGAIN", syscall.EAGAIN}, {"ENOMEM", syscall.ENOMEM}, {"EISDIR", syscall.EISDIR}, {"ENOTDIR", syscall.ENOTDIR},
		{"not-exist", fs.ErrNotExist},
	}
}

// faultOf records an error; nil for none.
func faultOf(err error) *fault {
	if err == nil {
		return nil
	}
	f := &fault{Text: err.Error()}
	for _, k := range kinds() {
		if errors.Is(err, k.err) {
			f.Kind = k.name
			break
		}
	}
	return f
}

// replayed is a recorded error.
type replayed struct {
	text  string
	cause error
}

func (r *replayed) Error() string { return r.text }
func (r *replayed) Unwrap() error { return r.cause }

func (f *fault) replay() error {
	if f == nil {
		return nil
	}
	r := &replayed{text: f.Text}
	for _, k := range kinds() {
		if k.name == f.Kind {
			r.cause = k.err
		}
	}
	return r
}

// answer is what a door said.
type answer[T any] struct {
	Value T      `json:"value,omitempty"`
	Error *fault `json:"error,omitempty"`
}

func answered[T any](v T, err error) answer[T] { return answer[T]{Value: v, Error: faultOf(err)} }

func (a answer[T]) get() (T, error) { return a.Value, a.Error.replay() }

// linkDoor is doors/links.json.
type linkDoor struct {
	Links *answer[[]host.Link] `json:"links,omitempty"`
	// VFs are by the index of the PF's netdev.
	VFs           map[string]answer[[]host.VFLink] `json:"vfs,omitempty"`
	DefaultRoutes *answer[[]int]                   `json:"defaultRoutes,omitempty"`
	// RouteTo is by the address.
	RouteTo map[string]answer[[]int] `json:"routeTo,omitempty"`
	// TCOffload is by the name of the netdev.
	TCOffload map[string]answer[hw.Feature] `json:"tcOffload,omitempty"`
}

// devlinkDoor is doors/devlink.json.
type devlinkDoor struct {
	// Eswitch and Params are by PCI address; Params then by name.
	Eswitch map[string]answer[hw.EswitchMode]    `json:"eswitch,omitempty"`
	Params  map[string]map[string]answer[string] `json:"params,omitempty"`
}

// rdmaDoor is doors/rdma.json.
type rdmaDoor struct {
	NetnsMode *answer[hw.RDMAMode] `json:"netnsMode,omitempty"`
	Fixed     *answer[bool]        `json:"fixed,omitempty"`
}

// bootDoor is doors/boot.json.
type bootDoor struct {
	Running *answer[hw.Boot]     `json:"running,omitempty"`
	Next    *answer[hw.NextBoot] `json:"next,omitempty"`
}

// replay answers as the doors did.
type replay struct {
	links   linkDoor
	devlink devlinkDoor
	rdma    rdmaDoor
	boot    bootDoor
}

var (
	_ host.LinkReader    = replay{}
	_ host.DevlinkReader = replay{}
	_ host.RDMAReader    = replay{}
	_ host.BootReader    = replay{}
)

// unasked is the error of a question that nobody asked of the recorded machine.
func unasked(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrNotRecorded)...)
}

// Links implements host.LinkReader.
func (r replay) Links(context.Context) ([]host.Link, error) {
	if r.links.Links == nil {
		return nil, unasked("list netdevs")
	}
	return r.links.Links.get()
}

// VFs implements host.LinkReader.
func (r replay) VFs(_ context.Context, pfIndex int) ([]host.VFLink, error) {
	a, ok := r.links.VFs[strconv.Itoa(pfIndex)]
	if !ok {
		return nil, unasked("list the VFs of netdev %d", pfIndex)
	}
	return a.get()
}

// DefaultRoutes implements host.LinkReader.
func (r replay) DefaultRoutes(context.Context) ([]int, error) {
	if r.links.DefaultRoutes == nil {
		return nil, unasked("list default routes")
	}
	return r.links.DefaultRoutes.get()
}

// RouteTo implements host.LinkReader.
func (r replay) RouteTo(_ context.Context, addr netip.Addr) ([]int, error) {
	a, ok := r.links.RouteTo[addr.String()]
	if !ok {
		return nil, unasked("find the route to %s", addr)
	}
	return a.get()
}

// TCOffload implements host.LinkReader.
func (r replay) TCOffload(_ context.Context, name string) (hw.Feature, error) {
	a, ok := r.links.TCOffload[name]
	if !ok {
		return "", unasked("read hw-tc-offload of %s", name)
	}
	return a.get()
}

// EswitchMode implements host.DevlinkReader.
func (r replay) EswitchMode(_ context.Context, dev hw.PCIAddr) (hw.EswitchMode, error) {
	a, ok := r.devlink.Eswitch[dev.String()]
	if !ok {
		return "", unasked("read the eSwitch mode of %s", dev)
	}
	return a.get()
}

// Param implements host.DevlinkReader.
func (r replay) Param(_ context.Context, dev hw.PCIAddr, name string) (string, error) {
	a, ok := r.devlink.Params[dev.String()][name]
	if !ok {
		return "", unasked("read the devlink parameter %s of %s", name, dev)
	}
	return a.get()
}

// NetnsMode implements host.RDMAReader.
func (r replay) NetnsMode(context.Context) (hw.RDMAMode, error) {
	if r.rdma.NetnsMode == nil {
		return "", unasked("read the RDMA namespace mode")
	}
	return r.rdma.NetnsMode.get()
}

// NetnsModeFixed implements host.RDMAReader.
func (r replay) NetnsModeFixed(context.Context) (bool, error) {
	if r.rdma.Fixed == nil {
		return false, unasked("ask whether the RDMA namespace mode is fixed")
	}
	return r.rdma.Fixed.get()
}

// Running implements host.BootReader.
func (r replay) Running(context.Context) (hw.Boot, error) {
	if r.boot.Running == nil {
		return hw.Boot{}, unasked("read how the machine booted")
	}
	return r.boot.Running.get()
}

// Next implements host.BootReader.
func (r replay) Next(context.Context) (hw.NextBoot, error) {
	if r.boot.Next == nil {
		return hw.NextBoot{}, unasked("read what the machine boots next")
	}
	return r.boot.Next.get()
}
