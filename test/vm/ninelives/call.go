// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls are the system calls that may change the machine, in words. Those that open a file are stopped only where it is
// for writing.
func calls() map[uint64]string {
	return map[uint64]string{
		unix.SYS_OPENAT: "write", unix.SYS_RENAME: "rename", unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "rename",
		unix.SYS_UNLINK: "remove", unix.SYS_UNLINKAT: "remove", unix.SYS_RMDIR: "remove",
		unix.SYS_SENDTO: "netlink", unix.SYS_SENDMSG: "netlink",
		unix.SYS_INIT_MODULE: "load a module", unix.SYS_FINIT_MODULE: "load a module", unix.SYS_DELETE_MODULE: "unload a module",
	}
}

// arm makes the kernel stop this thread, and all that comes of it, at these calls. The arguments' lower halves are
// enough; this is for little-endian machines.
func arm() error {
	const number, flags = 0, 16 + 2*8 // offsets in struct seccomp_data
	const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(test uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	end := func(verdict uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: verdict}
	}
	program := []unix.SockFilter{
		load(number),
		jump(unix.BPF_JEQ, unix.SYS_OPENAT, 0, 4),
		load(flags),
		jump(unix.BPF_JSET, writing, 0, 1),
		end(unix.SECCOMP_RET_TRACE),
		end(unix.SECCOMP_RET_ALLOW),
	}
	for call := range calls() {
		if call != unix.SYS_OPENAT {
			program = append(program, jump(unix.BPF_JEQ, uint32(call), 0, 1), end(unix.SECCOMP_RET_TRACE))
		}
	}
	program = append(program, end(unix.SECCOMP_RET_ALLOW))
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0); err != nil {
		return fmt.Errorf("set the filter: %w", err)
	}
	return nil
}

// describe says which change a stopped thread is about to make; nothing if it is none.
func describe(tid int) string {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return "" // it was killed meanwhile
	}
	what := calls()[regs.Orig_rax]
	switch regs.Orig_rax {
	case unix.SYS_OPENAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return file(what, path(tid, int32(regs.Rdi), uintptr(regs.Rsi)))
	case unix.SYS_RENAME, unix.SYS_UNLINK, unix.SYS_RMDIR:
		return file(what, path(tid, unix.AT_FDCWD, uintptr(regs.Rdi)))
	case unix.SYS_SENDTO:
		return netlink(tid, int(regs.Rdi), uintptr(regs.Rsi))
	case unix.SYS_SENDMSG: // struct msghdr has the vector's address at 16, and a vector begins with that of the bytes
		vector := binary.LittleEndian.Uint64(peek(tid, uintptr(regs.Rsi)+16, 8))
		return netlink(tid, int(regs.Rdi), uintptr(binary.LittleEndian.Uint64(peek(tid, uintptr(vector), 8))))
	}
	return what
}

// file is a change of a file, unless it is one that is nothing of the machine's.
func file(what, path string) string {
	for _, other := range []string{"/dev/", "/proc/"} {
		if strings.HasPrefix(path, other) {
			return ""
		}
	}
	return what + " " + path
}

// netlink is a message to rtnetlink that changes something. Of four types that belong together, the third asks
// (include/uapi/linux/rtnetlink.h).
func netlink(tid, fd int, message uintptr) string {
	protocol, ok := protocolOf(tid, fd)
	if !ok || protocol != unix.NETLINK_ROUTE {
		return ""
	}
	kind := binary.LittleEndian.Uint16(peek(tid, message+4, 2))
	if kind%4 == unix.RTM_GETLINK%4 {
		return ""
	}
	return fmt.Sprintf("netlink %d", kind)
}

// protocolOf is a netlink socket's protocol; ok is false for other sockets.
func protocolOf(tid, fd int) (int, bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(status), "\nTgid:\t")
	var pid int
	if _, err := fmt.Sscan(rest, &pid); err != nil {
		return 0, false
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, false
	}
	defer func() { _ = unix.Close(process) }() // nothing was written
	socket, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return 0, false
	}
	defer func() { _ = unix.Close(socket) }() // the other process has its own
	if domain, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain != unix.AF_NETLINK {
		return 0, false
	}
	protocol, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return protocol, err == nil
}

// path is the path that a thread names, from the root.
func path(tid int, folder int32, at uintptr) string {
	text, _, _ := bytes.Cut(peek(tid, at, 512), []byte{0})
	if filepath.IsAbs(string(text)) {
		return string(text)
	}
	from := fmt.Sprintf("/proc/%d/cwd", tid)
	if folder != unix.AT_FDCWD {
		from = fmt.Sprintf("/proc/%d/fd/%d", tid, folder)
	}
	root, err := os.Readlink(from)
	if err != nil {
		return string(text)
	}
	return filepath.Join(root, string(text))
}

// peek reads memory of a thread; what cannot be read is zero.
func peek(tid int, at uintptr, size int) []byte {
	out := make([]byte, size)
	// Up to the end of its page: what follows may not be there.
	const page = 4096
	for done := 0; done < size; {
		n := min(size-done, page-int(at+uintptr(done))%page)
		local := unix.Iovec{Base: &out[done], Len: uint64(n)}
		remote := unix.RemoteIovec{Base: at + uintptr(done), Len: n}
		if _, err := unix.ProcessVMReadv(tid, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0); err != nil {
			break
		}
		done += n
	}
	return out
}
