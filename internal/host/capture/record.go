// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"strconv"
	"sync"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Recorder is a machine that remembers what was read of it. Make one with
// Record. Its Reader may be used from several goroutines.
type Recorder struct {
	from host.Reader

	mu    sync.Mutex
	tree  *tree
	doors replay
}

// Record begins to record a machine.
func Record(r host.Reader) *Recorder {
	return &Recorder{from: r, tree: newTree(), doors: replay{
		links:   linkDoor{VFs: map[string]answer[[]host.VFLink]{}, RouteTo: map[string]answer[[]int]{}, TCOffload: map[string]answer[hw.Feature]{}},
		devlink: devlinkDoor{Eswitch: map[string]answer[hw.EswitchMode]{}, Params: map[string]map[string]answer[string]{}},
	}}
}

// Reader reads the machine and remembers the answers, errors included.
func (r *Recorder) Reader() host.Reader {
	return host.Reader{Files: recordedFiles{r}, Links: recordedDoors{r}, Devlink: recordedDoors{r}, RDMA: recordedDoors{r}, Boot: recordedDoors{r}}
}

// recordedFiles is the file system of the machine that is recorded.
type recordedFiles struct{ r *Recorder }

var (
	_ fs.ReadLinkFS = recordedFiles{}
	_ fs.ReadDirFS  = recordedFiles{}
	_ fs.ReadFileFS = recordedFiles{}
	_ fs.StatFS     = recordedFiles{}
)

// lookup is the node of a real path: remembered, or looked at now. r.mu is held.
func (r *Recorder) lookup(real string) (*node, error) {
	if n, ok := r.tree.nodes[real]; ok {
		return n, nil
	}
	i, err := r.from.Files.Lstat(real)
	if err != nil {
		return nil, cause(err)
	}
	n := &node{mode: i.Mode(), size: i.Size()}
	if n.mode.Type() == fs.ModeSymlink {
		if n.target, err = r.from.Files.ReadLink(real); err != nil {
			return nil, cause(err)
		}
	}
	r.tree.add(real, n)
	return n, nil
}

// cause takes the path out of an error, to which another one is put.
func cause(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}

// fileFault records an error of a file without its path, which depends on the
// links that led to the file.
func fileFault(err error) *fault {
	out := faultOf(cause(err))
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		out.Op = at.Op
	}
	return out
}

func (f recordedFiles) find(op, name string, itself bool) (string, *node, error) {
	real, n, err := resolve(name, itself, f.r.lookup)
	if err != nil {
		return "", nil, failed(op, name, err)
	}
	return real, n, nil
}

// Open implements fs.FS.
func (f recordedFiles) Open(name string) (fs.File, error) {
	i, err := f.Stat(name)
	if err != nil {
		return nil, failed("open", name, cause(err))
	}
	return open(f, name, i)
}

// ReadFile implements fs.ReadFileFS.
func (f recordedFiles) ReadFile(name string) ([]byte, error) {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	real, n, err := f.find("open", name, false)
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(f.r.from.Files, real)
	n.data, n.fault, n.known = data, fileFault(err), err == nil
	if err != nil {
		return nil, failed(n.fault.Op, name, cause(err))
	}
	return data, nil
}

// ReadDir implements fs.ReadDirFS.
func (f recordedFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	real, n, err := f.find("open", name, false)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(f.r.from.Files, real)
	n.fault, n.known = fileFault(err), err == nil
	if err != nil {
		return nil, failed(n.fault.Op, name, cause(err))
	}
	for _, e := range entries {
		// A device that went between the listing and now is not recorded, as if
		// it had gone before.
		_, _ = f.r.lookup(path.Join(real, e.Name()))
	}
	return entries, nil
}

// Stat implements fs.StatFS.
func (f recordedFiles) Stat(name string) (fs.FileInfo, error) { return f.stat("stat", name, false) }

// Lstat implements fs.ReadLinkFS.
func (f recordedFiles) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name, true) }

func (f recordedFiles) stat(op, name string, itself bool) (fs.FileInfo, error) {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	_, n, err := f.find(op, name, itself)
	if err != nil {
		return nil, err
	}
	return info{name: path.Base(name), node: n}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (f recordedFiles) ReadLink(name string) (string, error) {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	real, _, err := f.find("readlink", name, true)
	if err != nil {
		return "", err
	}
	return f.r.tree.ReadLink(real)
}

// recordedDoors are the other doors of the machine that is recorded.
type recordedDoors struct{ r *Recorder }

var (
	_ host.LinkReader    = recordedDoors{}
	_ host.DevlinkReader = recordedDoors{}
	_ host.RDMAReader    = recordedDoors{}
	_ host.BootReader    = recordedDoors{}
)

// note remembers an answer, unless there was none because the caller gave up.
func note[T any](ctx context.Context, r *Recorder, v T, err error, keep func(*replay, answer[T])) (T, error) {
	if ctx.Err() == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		keep(&r.doors, answered(v, err))
	}
	return v, err
}

// Links implements host.LinkReader.
func (d recordedDoors) Links(ctx context.Context) ([]host.Link, error) {
	v, err := d.r.from.Links.Links(ctx)
	return note(ctx, d.r, v, err, func(r *replay, a answer[[]host.Link]) { r.links.Links = &a })
}

// VFs implements host.LinkReader.
func (d recordedDoors) VFs(ctx context.Context, pfIndex int) ([]host.VFLink, error) {
	v, err := d.r.from.Links.VFs(ctx, pfIndex)
	return note(ctx, d.r, v, err, func(r *replay, a answer[[]host.VFLink]) { r.links.VFs[strconv.Itoa(pfIndex)] = a })
}

// DefaultRoutes implements host.LinkReader.
func (d recordedDoors) DefaultRoutes(ctx context.Context) ([]int, error) {
	v, err := d.r.from.Links.DefaultRoutes(ctx)
	return note(ctx, d.r, v, err, func(r *replay, a answer[[]int]) { r.links.DefaultRoutes = &a })
}

// RouteTo implements host.LinkReader.
func (d recordedDoors) RouteTo(ctx context.Context, addr netip.Addr) ([]int, error) {
	v, err := d.r.from.Links.RouteTo(ctx, addr)
	return note(ctx, d.r, v, err, func(r *replay, a answer[[]int]) { r.links.RouteTo[addr.String()] = a })
}

// TCOffload implements host.LinkReader.
func (d recordedDoors) TCOffload(ctx context.Context, name string) (hw.Feature, error) {
	v, err := d.r.from.Links.TCOffload(ctx, name)
	return note(ctx, d.r, v, err, func(r *replay, a answer[hw.Feature]) { r.links.TCOffload[name] = a })
}

// EswitchMode implements host.DevlinkReader.
func (d recordedDoors) EswitchMode(ctx context.Context, dev hw.PCIAddr) (hw.EswitchMode, error) {
	v, err := d.r.from.Devlink.EswitchMode(ctx, dev)
	return note(ctx, d.r, v, err, func(r *replay, a answer[hw.EswitchMode]) { r.devlink.Eswitch[dev.String()] = a })
}

// Param implements host.DevlinkReader.
func (d recordedDoors) Param(ctx context.Context, dev hw.PCIAddr, name string) (string, error) {
	v, err := d.r.from.Devlink.Param(ctx, dev, name)
	return note(ctx, d.r, v, err, func(r *replay, a answer[string]) {
		if r.devlink.Params[dev.String()] == nil {
			r.devlink.Params[dev.String()] = map[string]answer[string]{}
		}
		r.devlink.Params[dev.String()][name] = a
	})
}

// NetnsMode implements host.RDMAReader.
func (d recordedDoors) NetnsMode(ctx context.Context) (hw.RDMAMode, error) {
	v, err := d.r.from.RDMA.NetnsMode(ctx)
	return note(ctx, d.r, v, err, func(r *replay, a answer[hw.RDMAMode]) { r.rdma.NetnsMode = &a })
}

// NetnsModeFixed implements host.RDMAReader.
func (d recordedDoors) NetnsModeFixed(ctx context.Context) (bool, error) {
	v, err := d.r.from.RDMA.NetnsModeFixed(ctx)
	return note(ctx, d.r, v, err, func(r *replay, a answer[bool]) { r.rdma.Fixed = &a })
}

// Running implements host.BootReader.
func (d recordedDoors) Running(ctx context.Context) (hw.Boot, error) {
	v, err := d.r.from.Boot.Running(ctx)
	return note(ctx, d.r, v, err, func(r *replay, a answer[hw.Boot]) { r.boot.Running = &a })
}

// Next implements host.BootReader.
func (d recordedDoors) Next(ctx context.Context) (hw.NextBoot, error) {
	v, err := d.r.from.Boot.Next(ctx)
	return note(ctx, d.r, v, err, func(r *replay, a answer[hw.NextBoot]) { r.boot.Next = &a })
}
