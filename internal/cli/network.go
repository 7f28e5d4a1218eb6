// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/render/network"
)

func (a *app) renderNetwork() *cobra.Command {
	explain := false
	cmd := &cobra.Command{
		Use:   "network -f FILE",
		Short: "Print the NetworkAttachmentDefinitions that networks make",
		Long: `Print the NetworkAttachmentDefinitions that the SriovNetwork, SriovIBNetwork and
OVSNetwork objects in the files make.

No machine is needed. With --state, or with --machine, it is said when no policy
in the files gives the node a VF for a network.`,
		Example: a.example(`
%[1]s render network -f network.yaml
%[1]s render network -f network.yaml -f policy.yaml --resource-prefix mellanox.com --explain`),
		Args: cobra.NoArgs,
	}
	a.renderFlags(cmd, &explain, "say on standard error which policies offer each network's resource")
	a.prefixFlag(cmd)
	a.outputFlag(cmd, asYAML, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in, want, err := a.networkInput(cmd.Context())
		if err != nil {
			return err
		}
		made, err := a.attachments(in, want, explain)
		if err != nil {
			return err
		}
		if err := a.printAttachments(made); err != nil {
			return err
		}
		return in.verdict()
	}
	return cmd
}

// networkInput reads the files, and what the node should be if a node was named.
func (a *app) networkInput(ctx context.Context) (*input, *desired.Node, error) {
	if a.global.state == "" && a.global.machine == "" {
		in, err := a.load()
		return in, nil, err
	}
	in, out, err := a.rendered(ctx)
	return in, &out.Desired, err
}

// resourceOf is a network's resource; false for what is no network.
func resourceOf(o runtime.Object) (string, bool) {
	switch n := o.(type) {
	case *sriovv1.SriovNetwork:
		return n.Spec.ResourceName, true
	case *sriovv1.SriovIBNetwork:
		return n.Spec.ResourceName, true
	case *sriovv1.OVSNetwork:
		return n.Spec.ResourceName, true
	}
	return "", false
}

func (a *app) attachments(in *input, want *desired.Node, explain bool) ([]network.NetworkAttachmentDefinition, error) {
	var made []network.NetworkAttachmentDefinition
	facts := a.facts(in, false)
	seen := 0
	for _, o := range in.set.Objects {
		resource, ok := resourceOf(o.Value)
		if !ok {
			continue
		}
		seen++
		a.inNamespace(&o)
		if a.refuse(in, o, problemsOf(o.Value, nil, facts)) {
			continue
		}
		nad, err := network.Render(o.Value, a.networkOptions(in, resource))
		if err != nil {
			a.complain("%v", networkProblem(o, err))
			in.bad++
			continue
		}
		made = append(made, nad)
		if explain {
			say(a.Err, "%s: %s\n", o.Label(), a.offers(in, resource))
		}
		if want != nil && !offered(*want, resource) {
			a.note("%s: node %s gets no VF for resource %s from the policies in the files", o.Label(), in.node.Name, resource)
		}
	}
	if seen == 0 && in.bad == 0 {
		return nil, errors.New("render network: there is no SriovNetwork, SriovIBNetwork or OVSNetwork in the files")
	}
	return made, nil
}

func (a *app) networkOptions(in *input, resource string) network.Options {
	return network.Options{
		ResourcePrefix: a.prefix(in), OperatorNamespace: a.global.namespace,
		VFDriver: network.DefaultVFDriver(resource, in.policies),
	}
}

// inNamespace gives an object without a namespace the operator's, as kubectl
// gives it that of its context.
func (a *app) inNamespace(o *manifest.Object) {
	switch n := o.Value.(type) {
	case *sriovv1.SriovNetwork:
		n.Namespace = cmp.Or(n.Namespace, a.global.namespace)
	case *sriovv1.SriovIBNetwork:
		n.Namespace = cmp.Or(n.Namespace, a.global.namespace)
	case *sriovv1.OVSNetwork:
		n.Namespace = cmp.Or(n.Namespace, a.global.namespace)
	}
}

// networkProblem puts a place in the file to what the renderer found.
func networkProblem(o manifest.Object, err error) error {
	var field *network.FieldError
	if !errors.As(err, &field) {
		return o.Problem("", err.Error(), "")
	}
	cause := field.Cause.Error()
	if field.Line > 0 {
		cause += fmt.Sprintf(" (line %d, column %d of the text)", field.Line, field.Column)
	}
	return o.Problem(field.Field, cause, field.Fix)
}

// offers says which policies offer a resource.
func (a *app) offers(in *input, resource string) string {
	var names []string
	for i := range in.policies {
		if in.policies[i].Spec.ResourceName == resource {
			names = append(names, in.policies[i].Name)
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("resource %s/%s; no policy in the files offers it", a.prefix(in), resource)
	}
	slices.Sort(names)
	return fmt.Sprintf("resource %s/%s, offered by policy %s", a.prefix(in), resource, strings.Join(names, " and "))
}

func offered(want desired.Node, resource string) bool {
	return slices.ContainsFunc(want.PFs(), func(pf desired.PF) bool {
		return slices.ContainsFunc(pf.Groups, func(g desired.Group) bool { return g.Resource == resource })
	})
}

func (a *app) printAttachments(made []network.NetworkAttachmentDefinition) error {
	if a.global.output == asJSON {
		if len(made) == 1 {
			return a.object(made[0])
		}
		list := network.NetworkAttachmentDefinitionList{Items: made}
		list.APIVersion, list.Kind = network.AttachmentGroup+"/"+network.AttachmentVersion, network.AttachmentKind+"List"
		return a.object(list)
	}
	for i, nad := range made {
		if i > 0 {
			if err := a.print("---\n"); err != nil {
				return err
			}
		}
		if err := a.object(nad); err != nil {
			return err
		}
	}
	return nil
}
