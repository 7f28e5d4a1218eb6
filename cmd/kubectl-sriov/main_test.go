// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// asCommand makes the test's program the command.
const asCommand = "TEST_AS_KUBECTL_SRIOV"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

const policy = `apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: all, namespace: kube-system}
spec:
  nodeSelector: {}
  resourceName: all
  numVfs: 128
  nicSelector: {vendor: "15b3"}
`

// A connection may be cut by what is being done over it: the terminal hangs up, and
// nobody reads any more how it goes.
func TestAPlanThatHasBegunGoesOnWithoutItsTerminal(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "apply", "-f", "-", "--yes", "--machine", "../../test/machines/big.yaml")
	cmd.Env = append(os.Environ(), asCommand+"=yes")
	cmd.Stdin = strings.NewReader(policy)
	var out bytes.Buffer
	cmd.Stdout = &out
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The first step that is done is told in a line that counts steps.
	for lines := bufio.NewScanner(said); lines.Scan() && !strings.Contains(lines.Text(), "  1/"); {
	}
	if err := said.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "\ndone: ") {
		t.Errorf("ends with %v and says at last %q", err, out.String()[max(0, out.Len()-200):])
	}
}
