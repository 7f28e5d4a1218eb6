// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/network"
)

// meta is the metadata of every network here.
func meta() metav1.ObjectMeta { return metav1.ObjectMeta{Name: "test", Namespace: "ns"} }

func sriov(s sriovv1.SriovNetworkSpec) *sriovv1.SriovNetwork {
	s.NetworkNamespace, s.ResourceName = "testnamespace", "testresource"
	return &sriovv1.SriovNetwork{ObjectMeta: meta(), Spec: s}
}

func ib(s sriovv1.SriovIBNetworkSpec) *sriovv1.SriovIBNetwork {
	s.NetworkNamespace, s.ResourceName = "testnamespace", "testresource"
	return &sriovv1.SriovIBNetwork{ObjectMeta: meta(), Spec: s}
}

func ovs(s sriovv1.OVSNetworkSpec) *sriovv1.OVSNetwork {
	s.NetworkNamespace, s.ResourceName = "testnamespace", "testresource"
	return &sriovv1.OVSNetwork{ObjectMeta: meta(), Spec: s}
}

// options are those of an operator in namespace ns without a resource prefix.
func options() network.Options { return network.Options{OperatorNamespace: "ns"} }

func render(t *testing.T, obj runtime.Object, o network.Options) network.NetworkAttachmentDefinition {
	t.Helper()
	nad, err := network.Render(obj, o)
	if err != nil {
		t.Fatal(err)
	}
	return nad
}

func compacted(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(text)); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out.String()
}

func TestConfigurationsAreThoseThatOtherSoftwareKnows(t *testing.T) {
	const vrf = `{ "type": "vrf", "vrfname": "blue" }`
	cases := []struct {
		name string
		obj  runtime.Object
		want string
	}{
		{
			"a SriovNetwork with a resource name alone", sriov(sriovv1.SriovNetworkSpec{}),
			`{ "cniVersion":"1.0.0", "name":"test","type":"sriov","vlan":0,"vlanQoS":0,"ipam":{} }`,
		},
		{
			"a SriovNetwork with a meta plugin", sriov(sriovv1.SriovNetworkSpec{MetaPluginsConfig: vrf}),
			`{ "cniVersion":"1.0.0", "name":"test","plugins": [ {"type":"sriov","vlan":0,"vlanQoS":0,"ipam":{} },
` + vrf + `
] }`,
		},
		{
			"a SriovNetwork with two meta plugins keeps their order and the order of their keys",
			sriov(sriovv1.SriovNetworkSpec{MetaPluginsConfig: vrf + ` , {"z": 1, "type": "tuning", "a": {"y":1,"b":[ ]}}`}),
			`{"cniVersion":"1.0.0","name":"test","plugins":[{"type":"sriov","vlan":0,"vlanQoS":0,"ipam":{}},` +
				`{"type":"vrf","vrfname":"blue"},{"z":1,"type":"tuning","a":{"y":1,"b":[]}}]}`,
		},
		{
			"a SriovNetwork with everything", sriov(sriovv1.SriovNetworkSpec{
				Capabilities: `{"mac": true}`, IPAM: `{"type": "whereabouts", "range": "10.0.0.0/24"}`, Vlan: 100, VlanQoS: 5,
				VlanProto: "802.1ad", SpoofChk: "off", Trust: "on", LinkState: "enable", MinTxRate: new(0), MaxTxRate: new(100),
				LogLevel: "debug", LogFile: "/var/log/sriov.log",
			}),
			`{"cniVersion":"1.0.0","name":"test","type":"sriov","vlan":100,"spoofchk":"off","trust":"on","vlanQoS":5,` +
				`"vlanProto":"802.1ad","min_tx_rate":0,"max_tx_rate":100,"capabilities":{"mac":true},"link_state":"enable",` +
				`"logLevel":"debug","logFile":"/var/log/sriov.log","ipam":{"type":"whereabouts","range":"10.0.0.0/24"}}`,
		},
		{
			"a SriovIBNetwork with a resource name alone", ib(sriovv1.SriovIBNetworkSpec{}),
			`{ "cniVersion":"1.0.0", "name":"test","type":"ib-sriov","ipam":{} }`,
		},
		{
			"a SriovIBNetwork with everything", ib(sriovv1.SriovIBNetworkSpec{
				Capabilities: `{"infinibandGUID": true}`, LinkState: "auto", IPAM: `{"type":"foo"}`,
			}),
			`{"cniVersion":"1.0.0","name":"test","type":"ib-sriov","capabilities":{"infinibandGUID":true},"link_state":"auto","ipam":{"type":"foo"}}`,
		},
		{
			"an OVSNetwork with a resource name alone", ovs(sriovv1.OVSNetworkSpec{}),
			`{ "cniVersion":"1.0.0", "name":"test","type":"ovs","ipam":{} }`,
		},
		{
			"an OVSNetwork with an MTU and a meta plugin", ovs(sriovv1.OVSNetworkSpec{MTU: 1500, MetaPluginsConfig: vrf}),
			`{ "cniVersion":"1.0.0", "name":"test","plugins": [ {"type":"ovs","mtu":1500,"ipam":{} },
` + vrf + `
] }`,
		},
		{
			"an OVSNetwork with everything", ovs(sriovv1.OVSNetworkSpec{
				Capabilities: `{"foo": "bar"}`, Bridge: "test", Vlan: 100, MTU: 1500, InterfaceType: "netdev", IPAM: `{"type":"foo"}`,
				Trunk: []*sriovv1.TrunkConfig{{ID: new(uint(120))}, {MinID: new(uint(500)), MaxID: new(uint(550))}},
			}),
			`{ "cniVersion":"1.0.0", "name":"test","type":"ovs","capabilities":{"foo": "bar"},"bridge":"test","vlan":100,"mtu":1500,` +
				`"trunk":[{"id":120},{"minID":500,"maxID":550}],"interface_type":"netdev","ipam":{"type":"foo"} }`,
		},
		{
			"a SriovNetwork through kube-ovn", sriov(sriovv1.SriovNetworkSpec{KubeOVN: &sriovv1.KubeOVNConfig{}, LogLevel: "info"}),
			`{"cniVersion":"1.0.0","name":"test","type":"kube-ovn","server_socket":"/run/openvswitch/kube-ovn-daemon.sock","provider":"test.testnamespace.ovn"}`,
		},
		{
			"a SriovNetwork through kube-ovn with everything and RDMA", sriov(sriovv1.SriovNetworkSpec{
				KubeOVN:           &sriovv1.KubeOVNConfig{Provider: "p.q.ovn", ServerSocket: "/run/s.sock", VfDriver: "vfio-pci"},
				MetaPluginsConfig: `{"type":"rdma"}`,
			}),
			`{"cniVersion":"1.0.0","name":"test","plugins":[{"type":"kube-ovn","server_socket":"/run/s.sock","provider":"p.q.ovn","vf_driver":"vfio-pci"},{"type":"rdma"}]}`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := compacted(t, render(t, c.obj, options()).Spec.Config)
			if diff := cmp.Diff(compacted(t, c.want), got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigurationsArePrettyPrintedWithFourBlanks(t *testing.T) {
	cases := []struct {
		name string
		obj  runtime.Object
		want string
	}{
		{
			"a SriovNetwork as the API server defaults it", sriov(sriovv1.SriovNetworkSpec{LogLevel: "info"}), `{
    "cniVersion": "1.0.0",
    "name": "test",
    "type": "sriov",
    "vlan": 0,
    "vlanQoS": 0,
    "logLevel": "info",
    "ipam": {}
}`,
		},
		{
			"a SriovIBNetwork with a meta plugin", ib(sriovv1.SriovIBNetworkSpec{MetaPluginsConfig: `{"type":"rdma","args":[]}`}), `{
    "cniVersion": "1.0.0",
    "name": "test",
    "plugins": [
        {
            "type": "ib-sriov",
            "ipam": {}
        },
        {
            "type": "rdma",
            "args": []
        }
    ]
}`,
		},
		{
			"an OVSNetwork with address management", ovs(sriovv1.OVSNetworkSpec{IPAM: `{"type":"static","addresses":[{"address":"10.1.1.1/24"}]}`}), `{
    "cniVersion": "1.0.0",
    "name": "test",
    "type": "ovs",
    "ipam": {
        "type": "static",
        "addresses": [
            {
                "address": "10.1.1.1/24"
            }
        ]
    }
}`,
		},
		{
			"a SriovNetwork through kube-ovn", sriov(sriovv1.SriovNetworkSpec{KubeOVN: &sriovv1.KubeOVNConfig{VfDriver: "vfio-pci"}}), `{
    "cniVersion": "1.0.0",
    "name": "test",
    "type": "kube-ovn",
    "server_socket": "/run/openvswitch/kube-ovn-daemon.sock",
    "provider": "test.testnamespace.ovn",
    "vf_driver": "vfio-pci"
}`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, render(t, c.obj, options()).Spec.Config); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	annotations := func(owner, resource string) map[string]string {
		return map[string]string{
			"k8s.v1.cni.cncf.io/resourceName":     resource,
			"sriovnetwork.openshift.io/owner-ref": owner,
		}
	}
	elsewhere := sriov(sriovv1.SriovNetworkSpec{})
	elsewhere.Namespace, elsewhere.Spec.NetworkNamespace = "tenant", ""
	cases := []struct {
		name   string
		obj    runtime.Object
		prefix string
		want   metav1.ObjectMeta
	}{
		{
			"a network in the operator's namespace names another namespace", sriov(sriovv1.SriovNetworkSpec{}), "",
			metav1.ObjectMeta{Name: "test", Namespace: "testnamespace", Annotations: annotations("SriovNetwork.sriovnetwork.openshift.io/ns/test", "/testresource")},
		},
		{
			"an InfiniBand network", ib(sriovv1.SriovIBNetworkSpec{}), "mellanox.com",
			metav1.ObjectMeta{Name: "test", Namespace: "testnamespace", Annotations: annotations("SriovIBNetwork.sriovnetwork.openshift.io/ns/test", "mellanox.com/testresource")},
		},
		{
			"an OVS network", ovs(sriovv1.OVSNetworkSpec{}), "openshift.io",
			metav1.ObjectMeta{Name: "test", Namespace: "testnamespace", Annotations: annotations("OVSNetwork.sriovnetwork.openshift.io/ns/test", "openshift.io/testresource")},
		},
		{
			"a network of a tenant stays in the tenant's namespace", elsewhere, "openshift.io",
			metav1.ObjectMeta{Name: "test", Namespace: "tenant", Annotations: annotations("SriovNetwork.sriovnetwork.openshift.io/tenant/test", "openshift.io/testresource")},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := options()
			o.ResourcePrefix = c.prefix
			nad := render(t, c.obj, o)
			if diff := cmp.Diff(c.want, nad.ObjectMeta); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if nad.APIVersion != "k8s.cni.cncf.io/v1" || nad.Kind != "NetworkAttachmentDefinition" {
				t.Errorf("type %s %s", nad.APIVersion, nad.Kind)
			}
		})
	}
}

func TestOwnerRefOfWhatIsNoNetwork(t *testing.T) {
	if got := network.OwnerRef(nil); got != "owner-object-not-found" {
		t.Errorf("no owner: %q", got)
	}
	untyped := &network.NetworkAttachmentDefinition{ObjectMeta: meta()}
	if got := network.OwnerRef(untyped); got != "unknown/ns/test" {
		t.Errorf("an owner without a kind: %q", got)
	}
	untyped.APIVersion, untyped.Kind = "k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition"
	if got := network.OwnerRef(untyped); got != "NetworkAttachmentDefinition.k8s.cni.cncf.io/ns/test" {
		t.Errorf("an owner with a kind: %q", got)
	}
}

func TestIPAMKeepsBlanksInStrings(t *testing.T) {
	nad := render(t, sriov(sriovv1.SriovNetworkSpec{IPAM: "\n{ \"type\" : \"a b\",\n\t\"x\": \"<&>\" }\n"}), options())
	if got, want := compacted(t, nad.Spec.Config), `"ipam":{"type":"a b","x":"<&>"}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want it to contain %s", got, want)
	}
}

func TestBlankTextCountsAsNone(t *testing.T) {
	nad := render(t, sriov(sriovv1.SriovNetworkSpec{IPAM: " \n", Capabilities: "\t", MetaPluginsConfig: "  "}), options())
	if got, want := compacted(t, nad.Spec.Config), `{"cniVersion":"1.0.0","name":"test","type":"sriov","vlan":0,"vlanQoS":0,"ipam":{}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWrongTextIsRefusedWithItsPlace(t *testing.T) {
	cases := []struct {
		name         string
		spec         sriovv1.SriovNetworkSpec
		field        string
		line, column int
		says         string
	}{
		{"capabilities are a bare word", sriovv1.SriovNetworkSpec{Capabilities: "foo"}, "spec.capabilities", 1, 2, "not valid JSON"},
		{"ipam ends early", sriovv1.SriovNetworkSpec{IPAM: "{\n  \"type\": \"x\""}, "spec.ipam", 2, 14, "unexpected end"},
		{"ipam has a comma too many", sriovv1.SriovNetworkSpec{IPAM: "{\"type\":\"x\",\n}"}, "spec.ipam", 2, 1, "invalid character '}'"},
		{"ipam is a list", sriovv1.SriovNetworkSpec{IPAM: "  []"}, "spec.ipam", 1, 3, "not a JSON object"},
		{"ipam goes on with another key", sriovv1.SriovNetworkSpec{IPAM: `{}, "type": "host-device"`}, "spec.ipam", 1, 3, "after top-level value"},
		{"ipam is not UTF-8", sriovv1.SriovNetworkSpec{IPAM: "{\"a\":\"\xff\"}"}, "spec.ipam", 1, 7, "UTF-8"},
		{"metaPlugins close their list and go on", sriovv1.SriovNetworkSpec{MetaPluginsConfig: `{"type":"vrf"}], "name": "other", "x": [{"type":"vrf"}`}, "spec.metaPlugins", 1, 16, "after top-level value"},
		{"metaPlugins have a comma too many", sriovv1.SriovNetworkSpec{MetaPluginsConfig: `{"type":"vrf"},`}, "spec.metaPlugins", 1, 16, "not valid JSON"},
		{"a meta plugin is a string", sriovv1.SriovNetworkSpec{MetaPluginsConfig: "{\"type\":\"vrf\"},\n \"vrf\""}, "spec.metaPlugins", 2, 2, "element 2: it is not a JSON object"},
		{"a meta plugin has no type", sriovv1.SriovNetworkSpec{MetaPluginsConfig: `{"Type":"vrf"}`}, "spec.metaPlugins", 1, 1, `no "type"`},
		{"the type of a meta plugin is a number", sriovv1.SriovNetworkSpec{MetaPluginsConfig: `{"type":1}`}, "spec.metaPlugins", 1, 1, `no "type"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := network.Render(sriov(c.spec), options())
			var fault *network.FieldError
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want a FieldError", err)
			}
			if fault.Field != c.field || fault.Line != c.line || fault.Column != c.column {
				t.Errorf("place %s %d:%d, want %s %d:%d (%v)", fault.Field, fault.Line, fault.Column, c.field, c.line, c.column, err)
			}
			if !strings.Contains(err.Error(), c.says) || fault.Fix == "" {
				t.Errorf("%q does not say %q, or no fix %q", err, c.says, fault.Fix)
			}
		})
	}
}

func TestATenantMayNotNameAnotherNamespace(t *testing.T) {
	n := sriov(sriovv1.SriovNetworkSpec{})
	n.Namespace = "tenant"
	_, err := network.Render(n, options())
	if err == nil || !strings.HasPrefix(err.Error(), "spec.networkNamespace cannot be set when the resource is not in the operator namespace") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyNetworksAreRendered(t *testing.T) {
	if _, err := network.Render(&sriovv1.SriovNetworkNodePolicy{}, options()); err == nil {
		t.Error("a policy was rendered")
	}
	n := sriov(sriovv1.SriovNetworkSpec{})
	n.Name = ""
	if _, err := network.Render(n, options()); err == nil {
		t.Error("a network without a name was rendered")
	}
}

func TestTheVFDriverOfAKubeOVNNetworkFollowsThePolicies(t *testing.T) {
	policy := func(resource string, d sriovv1.DeviceType) sriovv1.SriovNetworkNodePolicy {
		return sriovv1.SriovNetworkNodePolicy{Spec: sriovv1.SriovNetworkNodePolicySpec{ResourceName: resource, DeviceType: d}}
	}
	all := []sriovv1.SriovNetworkNodePolicy{
		policy("vm", "vfio-pci"), policy("vm", "vfio-pci"), policy("mixed", "vfio-pci"), policy("mixed", "netdevice"), policy("pod", ""),
	}
	for resource, want := range map[string]string{"vm": "vfio-pci", "mixed": "", "pod": "", "none": ""} {
		if got := network.DefaultVFDriver(resource, all); got != want {
			t.Errorf("%s: %q, want %q", resource, got, want)
		}
	}
	n := sriov(sriovv1.SriovNetworkSpec{KubeOVN: &sriovv1.KubeOVNConfig{}})
	o := options()
	o.VFDriver = "vfio-pci"
	if got := render(t, n, o).Spec.Config; !strings.Contains(got, `"vf_driver": "vfio-pci"`) {
		t.Errorf("the default is not used: %s", got)
	}
}

func TestFieldsWithoutEffectThroughKubeOVNAreListed(t *testing.T) {
	n := sriov(sriovv1.SriovNetworkSpec{Vlan: 3, IPAM: `{"type":"x"}`, LogLevel: "info"})
	if got := network.Ignored(n); got != nil {
		t.Errorf("without kube-ovn: %v", got)
	}
	n.Spec.KubeOVN = &sriovv1.KubeOVNConfig{}
	if got, want := network.Ignored(n), []string{"spec.ipam", "spec.vlan"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAttachmentsAreAnAPIType(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := network.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	nad := render(t, sriov(sriovv1.SriovNetworkSpec{}), options())
	list := &network.NetworkAttachmentDefinitionList{Items: []network.NetworkAttachmentDefinition{nad}}
	for _, obj := range []runtime.Object{&nad, list} {
		if _, _, err := scheme.ObjectKinds(obj); err != nil {
			t.Error(err)
		}
		before, _ := json.Marshal(obj)
		twin := obj.DeepCopyObject()
		nad.Annotations["x"] = "y"
		if after, _ := json.Marshal(twin); !bytes.Equal(before, after) {
			t.Errorf("the copy changed with the original:\n%s\n%s", before, after)
		}
		delete(nad.Annotations, "x")
	}
}

// checkOurs fails unless every key, the name, the type and the metadata are as if
// the user's text were harmless.
func checkOurs(t interface {
	Helper()
	Fatalf(string, ...any)
}, nad network.NetworkAttachmentDefinition, kind string, chained bool,
) {
	t.Helper()
	if nad.Name != "test" || nad.Namespace != "testnamespace" || len(nad.Annotations) != 2 || len(nad.Labels) != 0 {
		t.Fatalf("the metadata changed: %+v", nad.ObjectMeta)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal([]byte(nad.Spec.Config), &top); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, nad.Spec.Config)
	}
	if string(top["name"]) != `"test"` || string(top["cniVersion"]) != `"1.0.0"` {
		t.Fatalf("the head changed: %s", nad.Spec.Config)
	}
	plugin := top
	if chained {
		var list []map[string]json.RawMessage
		if err := json.Unmarshal(top["plugins"], &list); err != nil || len(list) < 2 || len(top) != 3 {
			t.Fatalf("the list of plugins changed (%v): %s", err, nad.Spec.Config)
		}
		plugin = list[0]
	}
	if string(plugin["type"]) != `"`+kind+`"` {
		t.Fatalf("the type changed: %s", nad.Spec.Config)
	}
	known := []string{
		"cniVersion", "name", "type", "vlan", "vlanQoS", "capabilities", "logFile", "ipam", "bridge", "interface_type", "server_socket", "provider",
	}
	for key := range maps.Keys(plugin) {
		if !slices.Contains(known, key) {
			t.Fatalf("the key %s came out of nowhere: %s", key, nad.Spec.Config)
		}
	}
}

// tryText renders every kind with the text in every field that takes text.
func tryText(t interface {
	Helper()
	Fatalf(string, ...any)
}, ipam, capabilities, metaPlugins, plain string,
) {
	t.Helper()
	objects := map[string]runtime.Object{
		"sriov":    sriov(sriovv1.SriovNetworkSpec{IPAM: ipam, Capabilities: capabilities, MetaPluginsConfig: metaPlugins, LogFile: plain}),
		"kube-ovn": sriov(sriovv1.SriovNetworkSpec{Capabilities: capabilities, MetaPluginsConfig: metaPlugins, KubeOVN: &sriovv1.KubeOVNConfig{Provider: plain, ServerSocket: plain}}),
		"ib-sriov": ib(sriovv1.SriovIBNetworkSpec{IPAM: ipam, Capabilities: capabilities, MetaPluginsConfig: metaPlugins}),
		"ovs":      ovs(sriovv1.OVSNetworkSpec{IPAM: ipam, Capabilities: capabilities, MetaPluginsConfig: metaPlugins, Bridge: plain, InterfaceType: plain}),
	}
	for kind, obj := range objects {
		nad, err := network.Render(obj, options())
		var fault *network.FieldError
		if err != nil && !errors.As(err, &fault) {
			t.Fatalf("%s: %v is no FieldError", kind, err)
		}
		if err == nil {
			checkOurs(t, nad, kind, strings.Trim(metaPlugins, " \t\r\n") != "")
		}
	}
}

func FuzzUserTextCannotLeaveItsField(f *testing.F) {
	f.Add(`{"type":"x"}`, `{"mac":true}`, `{"type":"vrf"}`, "/var/log/x")
	f.Add(`{}, "name": "evil"`, `true}, "x": {`, `{"type":"vrf"}], "name": "evil", "y": [{"type":"z"}`, "\"\n  namespace: kube-system")
	f.Add("null", "null", "{\"type\":\"a\"},\n{\"type\":\"b\",\"type\":\"c\"}", "\"}")
	f.Add("\u2028", "{\"\\ud800\":1}", ",", "\x00\xff")
	f.Fuzz(func(t *testing.T, ipam, capabilities, metaPlugins, plain string) {
		tryText(t, ipam, capabilities, metaPlugins, plain)
	})
}

func TestUserTextBuiltFromJSONPiecesCannotLeaveItsField(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"{", "}", "[", "]", ",", ":", `"`, `"type"`, `"name"`, `"x"`, "1", "null", " ", "\n", `\`, `{"type":"a"}`, `{"type": "b", "name": "c"}`, "/*", "#", "'",
	})
	text := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "") })
	rapid.Check(t, func(t *rapid.T) {
		tryText(t, text.Draw(t, "ipam"), text.Draw(t, "capabilities"), text.Draw(t, "metaPlugins"), text.Draw(t, "plain"))
	})
}
