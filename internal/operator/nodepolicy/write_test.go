// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

func specOf(vfs int) sriovv1.SriovNetworkNodeStateSpec {
	return sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{PciAddress: "0000:d8:00.0", NumVfs: vfs}}}
}

func TestTheEchoOfAWriteIsNoWork(t *testing.T) {
	const seen, after = "7", "8"
	was := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: seen, Generation: 1}, Spec: specOf(2)}
	was.Status.SyncStatus, was.Status.ObservedGeneration = sriovv1.SyncStatusSucceeded, 1
	is := was.DeepCopy()
	is.ResourceVersion, is.Generation, is.Spec = after, 2, specOf(4)
	tests := map[string]struct {
		change func(was, is *sriovv1.SriovNetworkNodeState)
		want   bool
	}{
		"what was written comes back":       {func(_, _ *sriovv1.SriovNetworkNodeState) {}, true},
		"somebody wrote something else":     {func(_, is *sriovv1.SriovNetworkNodeState) { is.Spec = specOf(5) }, false},
		"somebody wrote before":             {func(was, _ *sriovv1.SriovNetworkNodeState) { was.ResourceVersion = "6" }, false},
		"the daemon has already an opinion": {func(_, is *sriovv1.SriovNetworkNodeState) { is.Status.ObservedGeneration = 2 }, false},
		"a NIC came with it":                {func(_, is *sriovv1.SriovNetworkNodeState) { is.Status.Interfaces = []sriovv1.InterfaceExt{{}} }, false},
		// Such a daemon is believed, and may say nothing more.
		"the daemon tells no generation": {func(was, is *sriovv1.SriovNetworkNodeState) {
			was.Status.ObservedGeneration, is.Status.ObservedGeneration = 0, 0
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a, b := was.DeepCopy(), is.DeepCopy()
			test.change(a, b)
			var w written
			w.begin("n", seen, specOf(4)) // the answer may come after the echo
			if got := w.echo(a, b); got != test.want {
				t.Fatalf("echo is %t, want %t", got, test.want)
			}
			if test.want && w.echo(a, b) {
				t.Error("it comes back twice")
			}
		})
	}
}

func TestAWriteThatTheCacheDoesNotShowYetIsBuiltUpon(t *testing.T) {
	var w written
	if version, same := w.underway("n", "7", specOf(4)); version != "7" || same {
		t.Errorf("before any write: version %s, same %t", version, same)
	}
	w.begin("n", "7", specOf(4))
	w.done("n", "8")
	if version, same := w.underway("n", "7", specOf(4)); version != "8" || !same {
		t.Errorf("after it was written: version %s, same %t", version, same)
	}
	if version, same := w.underway("n", "7", specOf(5)); version != "8" || same {
		t.Errorf("for something else: version %s, same %t", version, same)
	}
	if version, same := w.underway("n", "9", specOf(4)); version != "9" || same {
		t.Errorf("after the cache shows another version: version %s, same %t", version, same)
	}
	if version, same := w.underway("n", "7", specOf(4)); version != "7" || same {
		t.Errorf("what is over is not forgotten: version %s, same %t", version, same)
	}
	w.begin("n", "7", specOf(4))
	w.forget("n") // the echo came first
	w.done("n", "8")
	if version, same := w.underway("n", "8", specOf(4)); version != "8" || same {
		t.Errorf("an answer after the echo: version %s, same %t", version, same)
	}
}
