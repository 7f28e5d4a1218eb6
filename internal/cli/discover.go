// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

func (a *app) discoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "Show the NICs of a machine that offer SR-IOV, and their VFs",
		Long: `Show the NICs of a machine that offer SR-IOV, and their VFs. Nothing is changed.

With -o yaml or json it is a SriovNetworkNodeState whose status says what the
machine has; render --state reads it.`,
		Example: a.example(`
%[1]s discover
%[1]s discover -o wide
%[1]s discover -o yaml > node1.yaml
%[1]s discover --machine node1.tar`),
		Args: cobra.NoArgs,
	}
	a.machineFlags(cmd)
	a.outputFlag(cmd, asTable, asWide, asYAML, asJSON)
	cmd.Flags().StringVarP(&a.global.namespace, "namespace", "n", sriovv1.DefaultNamespace, "the namespace of the SriovNetworkNodeState that is printed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		m, err := a.open()
		if err != nil {
			return err
		}
		nics := catalog.Default()
		seen, err := converge.Look(cmd.Context(), m.reader, nics)
		if err != nil {
			return err
		}
		if a.global.output == asTable {
			return a.print(show.Inventory(seen.Inventory, nics))
		}
		if a.global.output == asWide {
			return a.print(show.InventoryWide(seen.Inventory, nics))
		}
		for _, p := range seen.Inventory.Problems {
			a.note("could not be read: %s", p)
		}
		return a.object(converge.NodeState(m.name, a.global.namespace, converge.Outlook{Observation: seen}))
	}
	return cmd
}
