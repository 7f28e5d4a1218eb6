// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// smallCluster is a cluster as kubectl prints it.
const smallCluster = "../../test/clusters/small.yaml"

// moreVFs changes the policy net of the small cluster.
const moreVFs = `apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: net, namespace: kube-system}
spec:
  nodeSelector: {}
  resourceName: net
  priority: 10
  numVfs: 8
  nicSelector: {pfNames: [ens785f0]}
`

// clusterCommand is a command about a cluster, and what it ends with.
type clusterCommand struct {
	args []string
	code int
}

// clusterCommands are by the names of their goldens.
func clusterCommands(t *testing.T) map[string]clusterCommand {
	t.Helper()
	more := file(t, "more.yaml", moreVFs)
	vfio := file(t, "vfio.yaml", strings.Replace(moreVFs, "numVfs: 8\n  nicSelector: {pfNames: [ens785f0]}", "numVfs: 4\n  deviceType: vfio-pci\n  nicSelector: {pfNames: ['ens785f0#2-3']}", 1))
	tooMany := file(t, "too-many.yaml", strings.Replace(moreVFs, "numVfs: 8", "numVfs: 200", 1))
	asItIs := file(t, "same.yaml", strings.Replace(moreVFs, "numVfs: 8", "numVfs: 4", 1))
	network := file(t, "network.yaml", "apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetwork\nmetadata: {name: net, namespace: kube-system}\nspec: {resourceName: net}\n")
	return map[string]clusterCommand{
		"status":              {[]string{"status"}, ExitError},
		"status-wide":         {[]string{"status", "-o", "wide"}, ExitError},
		"status.json":         {[]string{"status", "-o", "json"}, ExitError},
		"status-synced":       {[]string{"status", "e810-1"}, ExitDone},
		"status-pending":      {[]string{"status", "e810-2"}, ExitChanges},
		"status-failed":       {[]string{"status", "e810-3", "-o", "wide"}, ExitError},
		"status-new":          {[]string{"status", "new-1"}, ExitChanges},
		"status-not-ours":     {[]string{"status", "plain-1"}, ExitError},
		"status-misspelt":     {[]string{"status", "e801-1"}, ExitError},
		"explain":             {[]string{"explain", "e810-1"}, ExitDone},
		"explain-pf":          {[]string{"explain", "e810-1/0000:18:00.1"}, ExitDone},
		"explain-pf.json":     {[]string{"explain", "e810-1/ens785f1", "-o", "json"}, ExitDone},
		"explain-claim":       {[]string{"explain", "cx-1/enp95s0f0np0"}, ExitDone},
		"explain-idle-pf":     {[]string{"explain", "cx-1/ens41f1np1"}, ExitDone},
		"explain-misspelt":    {[]string{"explain", "cx-1/ens41f0pn0"}, ExitError},
		"explain-no-state":    {[]string{"explain", "new-1"}, ExitError},
		"plan-more":           {[]string{"plan", "-f", more, "--detailed-exitcode"}, ExitChanges},
		"plan-more.json":      {[]string{"plan", "-f", more, "-o", "json"}, ExitDone},
		"plan-one-node":       {[]string{"plan", "-f", more, "e810-3"}, ExitDone},
		"plan-vfio":           {[]string{"plan", "-f", vfio}, ExitDone},
		"plan-delete":         {[]string{"plan", "--delete", "dpdk"}, ExitDone},
		"plan-delete-all":     {[]string{"plan", "--delete", "net", "--delete", "spare"}, ExitDone},
		"plan-nothing":        {[]string{"plan", "-f", asItIs, "--detailed-exitcode"}, ExitDone},
		"plan-network":        {[]string{"plan", "-f", network, "--detailed-exitcode"}, ExitDone},
		"plan-impossible":     {[]string{"plan", "-f", tooMany, "--detailed-exitcode"}, ExitError},
		"plan-no-such-policy": {[]string{"plan", "--delete", "dpkd"}, ExitError},
		"plan-script":         {[]string{"plan", "-f", more, "-o", "script"}, ExitError},
		"validate":            {[]string{"validate", "-f", more}, ExitDone},
		"validate-too-many":   {[]string{"validate", "-f", tooMany}, ExitDone},
	}
}

// all is what a command printed on both of its ends.
func (s said) all() string {
	if s.err != "" && s.out != "" {
		return s.err + "\n" + s.out
	}
	return s.err + s.out
}

func TestCommandsAboutACluster(t *testing.T) {
	for name, c := range clusterCommands(t) {
		t.Run(name, func(t *testing.T) {
			got := run(t, append(c.args, "--snapshot", smallCluster)...)
			if got.code != c.code {
				t.Errorf("ends with %d, not %d: %s", got.code, c.code, got.err)
			}
			text := got.all()
			for _, arg := range c.args {
				if strings.HasSuffix(arg, ".yaml") {
					text = strings.ReplaceAll(text, arg, arg[strings.LastIndex(arg, "/")+1:])
				}
			}
			golden(t, "cluster/"+name, text)
			if strings.HasSuffix(name, ".json") && !json.Valid([]byte(got.out)) {
				t.Error("it is no JSON")
			}
		})
	}
}

func TestWhatChoosesAClusterAndWhatAMachine(t *testing.T) {
	more := file(t, "more.yaml", moreVFs)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no kubeconfig anywhere":         {[]string{"status"}, "this command cannot ask a cluster here"},
		"a cluster and a machine":        {[]string{"plan", "-f", more, "--cluster", "--machine", twoPorts}, "none of the others can be"},
		"a context and the file of node": {[]string{"plan", "-f", more, "--context", "a", "--node", "n.yaml"}, "none of the others can be"},
		"a node's name and no cluster":   {[]string{"plan", "-f", more, "node1"}, "the names of nodes go with --cluster"},
		"a deletion and no cluster":      {[]string{"plan", "--delete", "a"}, "choose one with --cluster"},
		"neither files nor a deletion":   {[]string{"plan", "--snapshot", smallCluster}, `required flag(s) "filename" not set`},
		"files that do not change":       {[]string{"status", "--watch", "--snapshot", smallCluster}, "files do not change by themselves"},
		"files that are not there":       {[]string{"status", "--snapshot", "none.yaml"}, "read the cluster's objects from none.yaml"},
		"another namespace":              {[]string{"status", "--snapshot", smallCluster, "-n", "other"}, "namespace other has neither a SriovOperatorConfig named default nor a node state"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, c.args...)
			if got.code == ExitDone || !strings.Contains(got.err, c.want) {
				t.Errorf("ends with %d: %s", got.code, got.err)
			}
		})
	}
	// Without a flag it is this machine.
	w := world{this: described(t, "e810.yaml")}
	if got := w.run(t, "plan", "-f", more); got.code != ExitDone || !strings.Contains(got.out, "numvfs 4 → 0") {
		t.Errorf("ends with %d: %s%s", got.code, got.out, got.err)
	}
}

func TestTheShellCompletesNodesPFsAndPolicies(t *testing.T) {
	for args, want := range map[string]string{
		"status e8":              "e810-1\ne810-2\ne810-3\n:4\n",
		"explain cx-1/e":         "cx-1/ens41f0np0\ncx-1/enp95s0f0np0\ncx-1/ens41f1np1\ncx-1/enp95s0f1np1\n:4\n",
		"explain nobody-has-it/": ":4\n",
	} {
		words := strings.Split(args, " ")
		last := len(words) - 1
		args := append([]string{"__complete"}, words[:last]...)
		if got := run(t, append(args, "--snapshot", smallCluster, words[last])...); got.out != want {
			t.Errorf("%s completes to %q, not %q", words, got.out, want)
		}
	}
	if got := run(t, "__complete", "plan", "--snapshot", smallCluster, "--delete", "d"); got.out != "dpdk\n:4\n" {
		t.Errorf("--delete completes to %q", got.out)
	}
}
