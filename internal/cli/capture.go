// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/host/capture"
)

func (a *app) captureCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "capture [FILE]",
		Short: "Record what discovery reads of a machine, to look at it anywhere",
		Long: `Record what discovery reads of a machine into a tar file, to look at it anywhere
with --machine. Nothing of the machine is changed.

FILE is <name of the machine>.tar when it is not given; one that ends in .gz or
.tgz is compressed; - is standard output. A file that exists is not replaced.

A capture holds MAC addresses, GUIDs and the names of netdevs, and nothing that
discovery does not read.`,
		Example: a.example(`
sudo %[1]s capture node1.tar
sudo %[1]s capture - | ssh laptop 'cat > node1.tar'
%[1]s plan -f policy.yaml --machine node1.tar`),
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"tar", "tar.gz", "tgz"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	a.machineFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.capture(cmd.Context(), args) }
	return cmd
}

func (a *app) capture(ctx context.Context, args []string) error {
	m, err := a.open()
	if err != nil {
		return err
	}
	name := cmp.Or(m.name, "machine") + ".tar"
	if len(args) > 0 {
		name = args[0]
	}
	recorder := capture.Record(m.reader)
	seen, err := converge.Look(ctx, recorder.Reader(), catalog.Default())
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	for _, p := range seen.Inventory.Problems {
		a.note("could not be read: %s", p)
	}
	if name == "-" {
		return recorder.WriteTar(a.Out)
	}
	if err := writeCapture(recorder, name); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	a.note("%s holds %d PFs; it shows MAC addresses and names of netdevs, so look before you publish it", name, len(seen.Inventory.PFs))
	return nil
}

// writeCapture writes a new file, and leaves none behind when it cannot.
func writeCapture(r *capture.Recorder, name string) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists, and is not replaced; name another file", name)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	var to io.Writer = f
	if ext := strings.ToLower(filepath.Ext(name)); ext == ".gz" || ext == ".tgz" {
		z := gzip.NewWriter(f)
		defer func() { err = errors.Join(err, z.Close()) }()
		to = z
	}
	return r.WriteTar(to)
}

// openCaptured opens a tar file, or the folder that one was unpacked to. The
// machine has the name of the file.
func openCaptured(name string) (machine, error) {
	r, err := capture.Open(name)
	if err != nil {
		return machine{}, err
	}
	base := filepath.Base(filepath.Clean(name))
	for _, ext := range []string{".gz", ".tgz", ".tar"} {
		base = strings.TrimSuffix(base, ext)
	}
	return machine{kind: capturedMachine, name: base, reader: r}, nil
}
