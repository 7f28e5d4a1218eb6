// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/atboot"
)

func noEnv(string) string { return "" }

func TestOptionsThatCannotBe(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{}, "is no command"},
		{[]string{"fly"}, `"fly" is no command`},
		{[]string{"start"}, "NODE_NAME"},
		{[]string{"start", "--node-name=n", "--disable-plugins=mellanox,intel"}, `"intel" is no plugin`},
		{[]string{"start", "now"}, `argument "now" is not known`},
		{[]string{"service", "--phase=mid"}, `"mid" is neither`},
		{[]string{"wait-for-config", "--pod-name=p"}, "--pod-namespace"},
	} {
		err := run(t.Context(), test.args, noEnv, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v", test.args, err)
		}
	}
}

func TestWhatTheOperatorSaysIsUnderstood(t *testing.T) {
	env := map[string]string{"NODE_NAME": "node1", "NAMESPACE": "sriov", "CLUSTER_TYPE": "kubernetes", "USE_EXTERNAL_DRAINER": "true", "HOST_IP": "192.0.2.7"}
	o, err := readStart([]string{"--use-systemd-service", "--disable-plugins=mellanox", "--parallel-nic-config", "--manage-software-bridges"},
		func(name string) string { return env[name] }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.node != "node1" || o.namespace != "sriov" || o.host != "/host" || !o.external || !o.atBoot {
		t.Errorf("got %+v", o)
	}
	if diff := cmp.Diff([]string{"192.0.2.7"}, texts(o.addrs)); diff != "" {
		t.Errorf("the node's addresses (-want +got):\n%s", diff)
	}
	if o, err := readStart([]string{"--node-name=other"}, noEnv, io.Discard); err != nil || o.node != "other" || o.namespace != "kube-system" {
		t.Errorf("got %+v, %v", o, err)
	}
}

// An address that cannot be read protects nothing, so the daemon does not start with it.
func TestTheNodesAddressesAreRead(t *testing.T) {
	got, err := addresses(" 192.0.2.7, 2001:db8::7,")
	if diff := cmp.Diff([]string{"192.0.2.7", "2001:db8::7"}, texts(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	env := func(name string) string { return map[string]string{"NODE_NAME": "node1", "HOST_IP": "192.0.2"}[name] }
	if _, err := readStart(nil, env, io.Discard); err == nil || !strings.Contains(err.Error(), `HOST_IP: "192.0.2" is no IP address`) {
		t.Errorf("got %v", err)
	}
}

func texts(addrs []netip.Addr) []string {
	var out []string
	for _, addr := range addrs {
		out = append(out, addr.String())
	}
	return out
}

func TestTheProgramIsCopiedToTheHost(t *testing.T) {
	root := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := run(t.Context(), []string{"install", "--host=" + root}, noEnv, io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(root, atboot.Program)
	got, err := os.ReadFile(to)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("what is there is another program: %v", err)
	}
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(to))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}
