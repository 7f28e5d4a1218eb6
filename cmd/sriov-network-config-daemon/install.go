// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/kubeovn/sriov-network-operator/internal/atboot"
	"github.com/kubeovn/sriov-network-operator/internal/daemon"
)

// waitForConfig is what a pod of the device plugin begins with.
func waitForConfig(ctx context.Context, args []string, env func(string) string, errs io.Writer) error {
	o := startOptions{kubeconfig: env(envKubeconfig)}
	var pod, namespace string
	set := flags("wait-for-config", errs)
	set.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "file that says where the API server is; also "+envKubeconfig)
	set.StringVar(&pod, "pod-name", "", "name of the pod that waits")
	set.StringVar(&namespace, "pod-namespace", "", "its namespace")
	if err := parse(set, args); err != nil {
		return err
	}
	if pod == "" || namespace == "" {
		return errors.New("wait-for-config: --pod-name and --pod-namespace are needed")
	}
	config, err := connect(o)
	if err != nil {
		return err
	}
	return daemon.AwaitConfig(ctx, config, namespace, pod, newLogger(errs, slog.LevelInfo))
}

// install copies this program to the host, whole or not at all. One that is there already
// is left alone.
func install(args []string, errs io.Writer) error {
	var root string
	set := flags("install", errs)
	set.StringVar(&root, "host", hostFolder, "where the host's root directory is")
	if err := parse(set, args); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	program := filepath.Join(root, atboot.Program)
	if err := copyProgram(self, program); err != nil {
		return err
	}
	return label(root, program)
}

// copyProgram makes the file to hold what from holds.
func copyProgram(from, to string) error {
	program, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	have, err := os.ReadFile(to)
	if err == nil && bytes.Equal(have, program) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at the program on the host: %w", err)
	}
	dir := filepath.Dir(to)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the program's folder: %w", err)
	}
	next, err := os.CreateTemp(dir, ".sriov-network-config-daemon-")
	if err != nil {
		return fmt.Errorf("write the program: %w", err)
	}
	defer func() { _ = os.Remove(next.Name()) }() // it is gone once it has its name
	_, err = next.Write(program)
	err = cmp.Or(err, next.Chmod(0o755), next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), to)
	}
	if err != nil {
		return fmt.Errorf("write the program: %w", err)
	}
	return nil
}
