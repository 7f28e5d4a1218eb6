// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package operand renders the operator configuration into the objects of everything
// that the operator deploys: config daemon, device plugin, resources injector,
// metrics exporter and webhook.
//
// # Groups
//
// Objects come in five groups, one for each thing that is deployed. A group is
// Deployed, Removed or, when its settings cannot be used, LeftAlone: a mistake in the
// settings of one never takes away another, nor what runs of its own. [Problem] says
// what the mistake is.
//
// # Why typed structs
//
// Objects are the structs of k8s.io/api, and [Patch] makes of one what server-side
// apply sends. Apply configurations would be one step nearer to the patch, but they
// live in client-go, which pure code does not import; every field would be a pointer;
// and who walks over objects, as the tests here do, would need the structs anyway.
// Structs have two fields that a patch must not have, status and zero times; Patch
// leaves them out.
//
// # Names
//
// Names of objects, of containers, and the labels of pods are those of the existing
// operator, because dashboards, must-gather scripts and NetworkPolicies name them.
// The selectors of the DaemonSets are the same too, so that an upgrade in place takes
// the objects over. Volumes that changed their kind have new names: the API server
// merges volumes by name, and one with two sources is refused.
//
// # What the daemon's program is called with
//
// The config daemon runs "sriov-network-config-daemon start". The first init container
// of the device plugin runs "sriov-network-config-daemon wait-for-config --pod-name
// --pod-namespace". In systemd mode an init container runs "sriov-network-config-daemon
// install --host=/host", which copies the program to where the host's units start it.
// The webhook's image has the program "webhook", with the command "start".
//
// # Who may do what
//
// No role has a wildcard, no role reads secrets. The daemon and the device plugin can
// do less than their roles say: a ValidatingAdmissionPolicy compares what they change
// with the node, or the pod, that their token was made for. Tokens are mounted only
// into the containers that use one.
package operand
