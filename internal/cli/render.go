// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

func (a *app) renderCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print the objects that the operator would make of policies and networks",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.renderNodeState(), a.renderNetwork(), a.renderDevicePlugin())
	return cmd
}

// renderFlags are those of everything that is rendered for a node.
func (a *app) renderFlags(cmd *cobra.Command, explain *bool, explains string) {
	a.fileFlags(cmd)
	a.nodeFlags(cmd)
	a.machineFlags(cmd)
	f := cmd.Flags()
	f.Var(fileName{&a.global.state}, "state", "a file with the machine's SriovNetworkNodeState, whose status says what the machine has; without it the machine is looked at")
	f.BoolVar(explain, "explain", false, explains)
	cmd.MarkFlagsMutuallyExclusive("state", "machine")
	cmd.MarkFlagsMutuallyExclusive("state", "root")
	if err := cmd.MarkFlagFilename("state", "yaml", "yml", "json"); err != nil {
		panic(err) // the flag was defined above
	}
}

func (a *app) prefixFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.global.prefix, "resource-prefix", "", "what goes before the resource name; without it, that of the SriovOperatorConfig in the files, or "+sriovv1.DefaultResourcePrefix)
}

// explained says which policy won what, and why.
const explained = "say who won each PF, VF group and field, who lost, and why: below a table, else on standard error"

func (a *app) renderNodeState() *cobra.Command {
	explain := false
	cmd := &cobra.Command{
		Use:   "nodestate -f FILE",
		Short: "Print the SriovNetworkNodeState that policies make of a node",
		Example: a.example(`
%[1]s render nodestate -f policy.yaml --state node1.yaml
%[1]s render nodestate -f policies/ --state node1.yaml --node node.yaml --explain -o wide`),
		Args: cobra.NoArgs,
	}
	a.renderFlags(cmd, &explain, explained)
	a.outputFlag(cmd, asYAML, asJSON, asTable, asWide)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in, out, err := a.rendered(cmd.Context())
		if err != nil {
			return err
		}
		if err := a.nodeState(converge.NodeState(in.node.Name, a.global.namespace, out)); err != nil {
			return err
		}
		if explain {
			if err := a.explain("\n" + show.Trace(out.Trace)); err != nil {
				return err
			}
		}
		return in.verdict()
	}
	return cmd
}

// explain prints below a table, or beside an object.
func (a *app) explain(text string) error {
	to := a.Err
	if a.global.output == asTable || a.global.output == asWide {
		to = a.Out
	}
	if _, err := io.WriteString(to, text); err != nil {
		return fmt.Errorf("write the explanation: %w", err)
	}
	return nil
}

// rendered is what the files make of the machine of --state, or of one that is
// looked at. Its plan is not computed: a node state does not tell enough.
func (a *app) rendered(ctx context.Context) (*input, converge.Outlook, error) {
	in, err := a.load()
	if err != nil {
		return nil, converge.Outlook{}, err
	}
	var out converge.Outlook
	if a.global.state != "" {
		var name string
		if out.Inventory, name, err = a.stateFile(); err != nil {
			return nil, out, err
		}
		in.node.Name = cmp.Or(in.node.Name, name)
	} else {
		m, err := a.open()
		if err != nil {
			return nil, out, err
		}
		if out.Observation, err = converge.Look(ctx, m.reader, in.nics); err != nil {
			return nil, out, err
		}
		in.node.Name = cmp.Or(in.node.Name, m.name)
	}
	w := a.wish(in)
	result := w.Policies.Render(w.Node, out.Inventory, w.RDMAMode)
	out.Desired, out.Trace = result.Desired, result.Trace
	a.report(in, out.Trace)
	return in, out, nil
}

// verdict is the failure when something was wrong with the files.
func (in *input) verdict() error {
	if in.bad > 0 {
		return errSaid
	}
	return nil
}

// configMap is as much of a ConfigMap as is printed.
type configMap struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Data map[string]string `json:"data"`
}

func (a *app) renderDevicePlugin() *cobra.Command {
	explain := false
	cmd := &cobra.Command{
		Use:   "device-plugin -f FILE",
		Short: "Print the device plugin's configuration that policies make for a node",
		Long: `Print the device plugin's configuration that policies make for a node.

With -o json it is what the plugin reads. With -o yaml it is the ConfigMap
device-plugin-config with that text under the node's name.`,
		Example: a.example(`
%[1]s render device-plugin -f policy.yaml --state node1.yaml
%[1]s render device-plugin -f policies/ --state node1.yaml -o yaml`),
		Args: cobra.NoArgs,
	}
	a.renderFlags(cmd, &explain, explained)
	a.prefixFlag(cmd)
	a.outputFlag(cmd, asJSON, asYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in, out, err := a.rendered(cmd.Context())
		if err != nil {
			return err
		}
		plugin := deviceplugin.Render(deviceplugin.Input{
			Policies: deviceplugin.NewPolicies(in.policies).With(in.claim().Policies()), Labels: in.node.Labels, LabelsUnknown: in.node.LabelsUnknown,
			Inventory: out.Inventory, Desired: out.Desired, NICs: in.nics,
		})
		for _, n := range plugin.Notes {
			a.note("policy %s: %s", n.Policy, n.Why)
		}
		if explain {
			if err := a.explain(show.Trace(out.Trace) + a.resources(in, plugin.Config)); err != nil {
				return err
			}
		}
		if err := a.pluginConfig(in, plugin.Config); err != nil {
			return err
		}
		return in.verdict()
	}
	return cmd
}

// resources are the full names that pods ask for.
func (a *app) resources(in *input, config deviceplugin.Config) string {
	var b strings.Builder
	b.WriteString("\nresources, as pods ask for them:\n")
	for _, r := range config.Resources {
		fmt.Fprintf(&b, "  %s/%s\n", a.prefix(in), r.Name)
	}
	if len(config.Resources) == 0 {
		b.WriteString("  there are none\n")
	}
	return b.String()
}

func (a *app) pluginConfig(in *input, config deviceplugin.Config) error {
	if a.global.output == asJSON {
		return a.object(config)
	}
	text, err := config.JSON()
	if err != nil {
		return err
	}
	return a.object(configMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: sriovv1.ConfigMapDevicePluginConfig, Namespace: a.global.namespace},
		Data:       map[string]string{in.node.Name: text},
	})
}
