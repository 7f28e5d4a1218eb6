// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// globalFlags are those that several commands have.
type globalFlags struct {
	machine   string
	root      string
	files     []string
	node      string
	state     string
	namespace string
	prefix    string
	output    output
	cluster   clusterFlags
}

// example fills the command's name into an example.
func (a *app) example(text string) string {
	text = strings.Trim(text, "\n")
	return "  " + strings.ReplaceAll(strings.ReplaceAll(text, "%[1]s", a.Name), "\n", "\n  ")
}

func (a *app) machineFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(fileName{&a.global.machine}, "machine", "the machine: this one, a captured one (a tar file or folder), or a described one (a .yaml file)")
	f.StringVar(&a.global.root, "root", "/", "where the root directory of this machine is, as /host in a container")
	cmd.MarkFlagsMutuallyExclusive("machine", "root")
	for _, err := range []error{
		cmd.MarkFlagFilename("machine", "yaml", "yml", "tar", "tgz", "gz"),
		cmd.MarkFlagDirname("root"),
	} {
		if err != nil {
			panic(err) // the flags were defined above
		}
	}
}

func (a *app) fileFlags(cmd *cobra.Command) {
	a.filesFlag(cmd)
	if err := cmd.MarkFlagRequired("filename"); err != nil {
		panic(err) // the flag was defined one line above
	}
}

func (a *app) filesFlag(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&a.global.files, "filename", "f", nil, "a file, a folder of .yaml, .yml and .json files, or - for standard input; may be given several times")
	if err := cmd.MarkFlagFilename("filename", "yaml", "yml", "json"); err != nil {
		panic(err) // the flag was defined one line above
	}
}

func (a *app) nodeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(fileName{&a.global.node}, "node", "a file with the machine's Node object, whose labels node selectors are held against; without it every node selector counts as matching")
	if err := cmd.MarkFlagFilename("node", "yaml", "yml", "json"); err != nil {
		panic(err) // the flag was defined above
	}
	f.StringVarP(&a.global.namespace, "namespace", "n", sriovv1.DefaultNamespace, "the operator's namespace")
}

// fileName is the name of a file. An empty one is refused where it is given: it
// comes of a variable that was not set, and without --machine another machine is
// meant than the one that was to be named.
type fileName struct{ to *string }

// String implements pflag.Value.
func (n fileName) String() string {
	if n.to == nil {
		return ""
	}
	return *n.to
}

// Type implements pflag.Value.
func (n fileName) Type() string { return "string" }

// Set implements pflag.Value.
func (n fileName) Set(s string) error {
	if s == "" {
		return errors.New("the name is empty; name a file, or leave the flag out")
	}
	*n.to = s
	return nil
}

// output is the format that is printed.
type output string

// The formats.
const (
	asText   output = "text"
	asJSON   output = "json"
	asYAML   output = "yaml"
	asScript output = "script"
	asTable  output = "table"
	asWide   output = "wide"
)

// outputValue is an output with the formats that a command knows.
type outputValue struct {
	to      *output
	allowed []output
}

// String implements pflag.Value.
func (v outputValue) String() string {
	if v.to == nil {
		return ""
	}
	return string(*v.to)
}

// Type implements pflag.Value.
func (v outputValue) Type() string { return "format" }

// Set implements pflag.Value.
func (v outputValue) Set(s string) error {
	if !slices.Contains(v.allowed, output(s)) {
		return fmt.Errorf("it is one of %s", v.list())
	}
	*v.to = output(s)
	return nil
}

func (v outputValue) list() string {
	words := make([]string, len(v.allowed))
	for i, o := range v.allowed {
		words[i] = string(o)
	}
	return strings.Join(words, ", ")
}

// outputFlag offers formats; the first is the default.
func (a *app) outputFlag(cmd *cobra.Command, allowed ...output) {
	// Commands are made before one of them runs, so each sets its own default.
	var chosen output
	v := outputValue{to: &chosen, allowed: allowed}
	chosen = allowed[0]
	cmd.Flags().VarP(v, "output", "o", "the format: "+v.list())
	cmd.PreRun = func(*cobra.Command, []string) { a.global.output = chosen }
	words := make([]cobra.Completion, len(allowed))
	for i, o := range allowed {
		words[i] = string(o)
	}
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was defined above
	}
}
