// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

const reference = "../../docs/reference/cli"

// TestTheReferenceIsFresh writes the reference of all commands from their help,
// with -update, and fails when it is another one.
func TestTheReferenceIsFresh(t *testing.T) {
	pages := map[string]string{}
	root := Command(Env{Name: "kubectl-sriov"})
	root.InitDefaultHelpCmd()
	write(root, pages)
	if *update {
		if err := os.MkdirAll(reference, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range pages {
			if err := os.WriteFile(filepath.Join(reference, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(reference)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := pages[e.Name()]; !ok {
			t.Errorf("%s is about no command", e.Name())
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(reference, name))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is stale; run this test with -update (-want +got):\n%s", name, diff)
		}
	}
}

// write makes one page of each command that a person calls.
func write(cmd *cobra.Command, pages map[string]string) {
	pages[page(cmd)] = text(cmd)
	for _, c := range children(cmd) {
		write(c, pages)
	}
}

func children(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool {
		return c.Hidden || c.Name() == "help" || c.Parent().Name() == "completion"
	})
}

func page(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "_") + ".md"
}

func text(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Generated from the command's help; do not edit. -->\n\n# %s\n\n", cmd.CommandPath())
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	fmt.Fprintf(&b, "%s\n", strings.TrimSpace(about))
	if cmd.Runnable() {
		fmt.Fprintf(&b, "\n```\n%s\n```\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n## Examples\n\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
	}
	cmd.InitDefaultHelpFlag()
	if flags := cmd.NonInheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(&b, "\n## Flags\n\n```\n%s```\n", flags.FlagUsages())
	}
	if list := children(cmd); len(list) > 0 {
		b.WriteString("\n## Commands\n\n")
		for _, c := range list {
			fmt.Fprintf(&b, "* [%s](%s): %s\n", c.CommandPath(), page(c), c.Short)
		}
	}
	return b.String()
}
