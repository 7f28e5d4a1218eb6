// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Features are switched by the ioctl SIOCETHTOOL, which every kernel has; its
// messages are in include/uapi/linux/ethtool.h.
const (
	// tcOffload is the feature's name (net/ethtool/common.c,
	// netdev_features_strings).
	tcOffload = "hw-tc-offload"

	featureNames = 4  // ETH_SS_FEATURES
	nameSize     = 32 // ETH_GSTRING_LEN
	// mostFeatures is more than there are: the kernel writes all names, whatever
	// the space for them.
	mostFeatures  = 256
	featureBlocks = mostFeatures / 32
)

// TCOffload implements host.LinkReader.
func (links) TCOffload(ctx context.Context, name string) (hw.Feature, error) {
	state, err := withEthtool(ctx, name, func(e ethtool) (hw.Feature, error) {
		f, err := e.feature(tcOffload)
		return f.state, err
	})
	if err != nil {
		return "", fmt.Errorf("read feature %s of %s: %w", tcOffload, name, err)
	}
	return state, nil
}

// enableFeature switches a feature on. The kernel does not complain about one
// that the driver has not or has fixed, so that is looked at first.
func enableFeature(ctx context.Context, name, feature string) error {
	_, err := withEthtool(ctx, name, func(e ethtool) (struct{}, error) {
		f, err := e.feature(feature)
		if err != nil || f.state == hw.FeatureOn {
			return struct{}{}, err
		}
		if f.state == hw.FeatureAbsent {
			return struct{}{}, host.ErrUnsupported
		}
		return struct{}{}, e.enable(f)
	})
	if err != nil {
		return fmt.Errorf("switch on feature %s of %s: %w", feature, name, err)
	}
	return nil
}

// ethtool asks for one netdev by its name.
type ethtool struct {
	fd   int
	name string
}

// withEthtool works with a socket of the calling thread's network namespace.
func withEthtool[T any](ctx context.Context, name string, work func(ethtool) (T, error)) (T, error) {
	var none T
	if name == "" || len(name) >= unix.IFNAMSIZ {
		return none, unix.ENODEV // The kernel would cut the name and find another netdev.
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return none, err
	}
	return within(ctx, func() (T, error) {
		defer unix.Close(fd)
		return work(ethtool{fd: fd, name: name})
	})
}

// feature is one feature of a netdev.
type feature struct {
	state hw.Feature
	bit   int
	// blocks is how many blocks of 32 features the kernel has.
	blocks int
}

func (e ethtool) feature(name string) (feature, error) {
	bit, err := e.bit(name)
	if errors.Is(err, unix.EOPNOTSUPP) || err == nil && bit < 0 {
		return feature{state: hw.FeatureAbsent}, nil
	}
	if err != nil {
		return feature{}, err
	}
	// struct ethtool_gfeatures: command, number of blocks, and in each block what
	// is available, requested, active and never changed.
	const header, block = 8, 16
	message := make([]byte, header+block*featureBlocks)
	binary.NativeEndian.PutUint32(message, unix.ETHTOOL_GFEATURES)
	binary.NativeEndian.PutUint32(message[4:], featureBlocks)
	if err := e.call(message); err != nil {
		return feature{}, err
	}
	words := message[header+block*(bit/32):]
	has := func(word int) bool { return binary.NativeEndian.Uint32(words[4*word:])>>(bit%32)&1 != 0 }
	available, active, fixed := has(0), has(2), has(3)
	f := feature{state: hw.FeatureAbsent, bit: bit, blocks: int(binary.NativeEndian.Uint32(message[4:]))}
	switch {
	case active:
		f.state = hw.FeatureOn
	case available && !fixed:
		f.state = hw.FeatureOff
	}
	return f, nil
}

// bit is the number of a feature, which differs between kernels; less than zero
// when the kernel does not know it.
func (e ethtool) bit(feature string) (int, error) {
	// struct ethtool_gstrings: command, kind of names, their number, the names.
	const header = 12
	message := make([]byte, header+nameSize*mostFeatures)
	binary.NativeEndian.PutUint32(message, unix.ETHTOOL_GSTRINGS)
	binary.NativeEndian.PutUint32(message[4:], featureNames)
	if err := e.call(message); err != nil {
		return -1, err
	}
	count := min(int(binary.NativeEndian.Uint32(message[8:])), mostFeatures)
	for i := range count {
		at := header + i*nameSize
		if unix.ByteSliceToString(message[at:at+nameSize]) == feature {
			return i, nil
		}
	}
	return -1, nil
}

// enable requests one feature.
func (e ethtool) enable(f feature) error {
	// struct ethtool_sfeatures: command, number of blocks, which must be the
	// kernel's own, and in each block which features are meant and which of those
	// shall be on.
	const header, block = 8, 8
	message := make([]byte, header+block*featureBlocks)
	binary.NativeEndian.PutUint32(message, unix.ETHTOOL_SFEATURES)
	binary.NativeEndian.PutUint32(message[4:], uint32(f.blocks))
	words := message[header+block*(f.bit/32):]
	binary.NativeEndian.PutUint32(words, 1<<(f.bit%32))
	binary.NativeEndian.PutUint32(words[4:], 1<<(f.bit%32))
	return e.call(message)
}

// call hands a message to the kernel, which writes its answer over it.
func (e ethtool) call(message []byte) error {
	// struct ifreq with a pointer in its union.
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&message[0])} //nolint:gosec // the kernel asks for an address; KeepAlive below keeps what is there
	copy(request.name[:], e.name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))) //nolint:gosec // the conversion stands in the call, as package unsafe asks
	runtime.KeepAlive(message)
	if errno != 0 {
		return errno
	}
	return nil
}
