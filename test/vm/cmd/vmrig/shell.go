// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/test/vm/clone"
	"github.com/kubeovn/sriov-network-operator/test/vm/image"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// shell runs a shell in a fresh machine, which goes with it.
func shell(ctx context.Context, b image.Builder, files []string) (err error) {
	started := time.Now()
	m, err := clone.Start(ctx, b, clone.Spec{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	for _, file := range files {
		if err := m.PushFile(ctx, file, "/root/"+filepath.Base(file)); err != nil {
			return err
		}
	}
	c := machine.Command{Argv: []string{"bash", "-l"}, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	restore, size, err := makeRaw(int(os.Stdin.Fd()))
	if err == nil {
		fmt.Fprintf(os.Stderr, "vmrig: the machine was up in %.1f s; Ctrl-D ends it\r\n", time.Since(started).Seconds())
		defer restore()
		c.TTY = &size
	}
	p, err := m.Start(ctx, c)
	if err != nil {
		return err
	}
	out, err := p.Wait(ctx)
	if err == nil && c.TTY == nil && out.ExitCode != 0 {
		return fmt.Errorf("the shell ended with exit code %d", out.ExitCode)
	}
	return err
}

// makeRaw lets every key through a terminal, as the guest's own terminal gives
// keys their meaning. Its error says that there is no terminal.
func makeRaw(fd int) (restore func(), size protocol.Terminal, err error) {
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, size, fmt.Errorf("read the terminal's settings: %w", err)
	}
	window, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return nil, size, fmt.Errorf("read the terminal's size: %w", err)
	}
	raw := *before
	// As cfmakeraw(3) does.
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, size, fmt.Errorf("make the terminal raw: %w", err)
	}
	restore = func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }
	return restore, protocol.Terminal{Rows: window.Row, Columns: window.Col}, nil
}
