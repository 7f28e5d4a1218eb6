// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// terminal is a pseudo terminal and the copying of its output.
type terminal struct {
	master, slave *os.File
	copied        chan struct{} // closed when the output has ended
}

func openTerminal(size protocol.Terminal) (*terminal, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	slave, err := openSlave(master, size)
	if err != nil {
		_ = master.Close()
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	return &terminal{master: master, slave: slave, copied: make(chan struct{})}, nil
}

func openSlave(master *os.File, size protocol.Terminal) (*os.File, error) {
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock: %w", err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("read number: %w", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Columns}); err != nil {
		return nil, fmt.Errorf("set size: %w", err)
	}
	return os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
}

func (t *terminal) copyTo(w io.Writer) {
	defer close(t.copied)
	// The read ends with EIO when the last holder of the slave has gone.
	_, _ = io.Copy(w, t.master)
}

// drain waits for the rest of the output, at most for limit, and closes the terminal.
func (t *terminal) drain(limit time.Duration) {
	select {
	case <-t.copied:
	case <-time.After(limit):
	}
	_ = t.master.Close()
}
