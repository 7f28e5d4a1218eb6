// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package operatorconfig_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/operatorconfig"
	"github.com/kubeovn/sriov-network-operator/internal/render/install"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// plane runs pods: DaemonSets have a controller, and kwok plays the kubelets. Tests use it
// one after the other, because what has no namespace has one name.
var plane = kube.Share(kube.WithControllerManager(), kube.WithScheduler(), kube.WithKwok(0))

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(plane.Main(m))
}

// patient is how long a test waits for the operator.
const patient = 2 * time.Minute

// rig is an operator for one test: in a namespace of its own, with a token of the account
// that is installed, and behind a proxy.
type rig struct {
	t       *testing.T
	cluster *kube.Cluster
	api     client.Client
	// unasked is an administrator about whose writes the webhook is not asked: no webhook
	// can answer here.
	unasked client.Client
	ns      string
	proxy   *proxy.Proxy
	// through leads to the API server as the operator.
	through *rest.Config
	// stop ends the operator as the end of its pod does.
	stop    func()
	refused refusals
	levels  chan int
}

// refusals are the requests that the API server refused for want of a right.
type refusals struct {
	mu  sync.Mutex
	all []string
}

// RoundTripper notes what is forbidden.
func (r *refusals) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		answer, err := next.RoundTrip(request)
		if err == nil && answer.StatusCode == http.StatusForbidden {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.all = append(r.all, request.Method+" "+request.URL.String())
		}
		return answer, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newRig(t *testing.T, rules ...proxy.Rule) *rig {
	t.Helper()
	c := plane.Cluster(t)
	r := &rig{t: t, cluster: c, api: c.Client(), ns: c.Namespace(t), proxy: proxy.New(1, rules...), levels: make(chan int, 100)}
	unasked := kube.As(c.Config(), "system:serviceaccount:"+r.ns+":"+install.Name, []string{"system:masters"}, nil)
	var err error
	if r.unasked, err = client.New(unasked, client.Options{Scheme: r.api.Scheme(), Mapper: r.api.RESTMapper()}); err != nil {
		t.Fatal(err)
	}
	for _, o := range install.Accounts(r.ns) {
		if !strings.HasPrefix(operand.RefOf(o).Kind, "ClusterRole") {
			o.SetNamespace(r.ns)
		}
		r.create(o.(client.Object))
		t.Cleanup(func() { _ = r.api.Delete(context.WithoutCancel(t.Context()), o.(client.Object)) })
	}
	r.through = c.Behind(t, r.proxy)
	r.through.BearerToken = c.ServiceAccount(t, r.ns, install.Name, "").BearerToken
	r.through.WrapTransport = r.refused.wrap
	r.operate()
	return r
}

// settings are those that the operator is started with.
func (r *rig) settings() operand.Settings {
	return operand.Settings{
		Namespace: r.ns, Metrics: operand.Metrics{Rules: true},
		Images: operand.Images{
			ConfigDaemon: "daemon:1", DevicePlugin: "plugin:1", Injector: "injector:1", Webhook: "webhook:1",
			Exporter: "exporter:1", RBACProxy: "proxy:1", SriovCNI: "sriov-cni:1",
		},
	}
}

// operate runs the operator until the end of the test, when what it has deployed goes, and
// it has been refused nothing.
func (r *rig) operate() {
	r.t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		r.t.Fatal(err)
	}
	again := true
	mgr, err := ctrl.NewManager(r.through, ctrl.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &again},
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{r.ns: {}}, DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	err = operatorconfig.Add(ctx, mgr, operatorconfig.Options{
		Settings: r.settings(), Now: time.Now, Random: rand.Reader,
		SetLogLevel: func(level int) {
			select {
			case r.levels <- level:
			default:
			}
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			r.t.Errorf("the operator ended with %v", err)
		}
	})
	r.t.Cleanup(func() {
		r.proxy.Script()
		r.uninstall()
		r.stop()
		r.refused.mu.Lock()
		defer r.refused.mu.Unlock()
		for _, request := range r.refused.all {
			r.t.Errorf("the installed roles do not allow %s", request)
		}
	})
}

// uninstall deletes the configuration and waits until it is gone.
func (r *rig) uninstall() {
	r.t.Helper()
	ctx := context.WithoutCancel(r.t.Context())
	config := r.config()
	if err := client.IgnoreNotFound(r.api.Delete(ctx, config)); err != nil {
		r.t.Error(err)
	}
	r.await(func() error {
		config := r.config()
		err := client.IgnoreNotFound(r.api.Get(ctx, client.ObjectKeyFromObject(config), config))
		if err == nil && config.UID != "" {
			err = fmt.Errorf("the operator configuration is there, with the finalizers %v", config.Finalizers)
		}
		return err
	})
}

// await waits until there is nothing wrong any more.
func (r *rig) await(wrong func() error) {
	r.t.Helper()
	deadline := time.After(patient)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		err := wrong()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			r.t.Fatal(err)
		case <-tick.C:
		}
	}
}

func (r *rig) create(objects ...client.Object) {
	r.t.Helper()
	for _, o := range objects {
		if err := r.api.Create(r.t.Context(), o); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) config() *sriovv1.SriovOperatorConfig {
	return &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: sriovv1.DefaultConfigName}}
}

// configure makes the operator configuration, or changes it.
func (r *rig) configure(change func(*sriovv1.SriovOperatorConfigSpec)) {
	r.t.Helper()
	config := r.config()
	r.await(func() error {
		err := r.api.Get(r.t.Context(), client.ObjectKeyFromObject(config), config)
		if apierrors.IsNotFound(err) {
			change(&config.Spec)
			return r.unasked.Create(r.t.Context(), config)
		}
		if err != nil {
			return err
		}
		change(&config.Spec)
		return r.unasked.Update(r.t.Context(), config)
	})
}

// everything turns everything on.
func everything(s *sriovv1.SriovOperatorConfigSpec) {
	s.EnableInjector, s.EnableOperatorWebhook = true, true
	s.FeatureGates = map[string]bool{sriovv1.FeatureMetricsExporter: true}
}

// nodes are played by kwok until the end of the test.
func (r *rig) nodes(count int, edit func(*corev1.Node)) {
	r.t.Helper()
	for _, name := range r.cluster.CreateNodes(r.t, count, edit) {
		r.t.Cleanup(func() {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
			if err := r.api.Delete(context.WithoutCancel(r.t.Context()), node); err != nil {
				r.t.Error(err)
			}
		})
	}
}

// condition waits until a condition of the present generation has a reason.
func (r *rig) condition(kind, reason string) metav1.Condition {
	r.t.Helper()
	var found metav1.Condition
	config := r.config()
	r.await(func() error {
		if err := r.api.Get(r.t.Context(), client.ObjectKeyFromObject(config), config); err != nil {
			return err
		}
		c := meta.FindStatusCondition(config.Status.Conditions, kind)
		if c == nil || c.Reason != reason || c.ObservedGeneration != config.Generation {
			return fmt.Errorf("want %s with reason %s, generation %d, of %+v", kind, reason, config.Generation, config.Status.Conditions)
		}
		found = *c
		return nil
	})
	return found
}

// get is an object, nil if there is none.
func (r *rig) get(ref operand.Ref) *unstructured.Unstructured {
	r.t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(ref.GroupVersionKind)
	err := r.api.Get(context.WithoutCancel(r.t.Context()), client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, o)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

// there are the objects that are deployed, of all that can ever be.
func (r *rig) there() []string {
	r.t.Helper()
	var out []string
	for _, ref := range operand.AllRefs(r.settings()) {
		if r.get(ref) != nil {
			out = append(out, ref.String())
		}
	}
	slices.Sort(out)
	return out
}

// edit changes an object as kubectl edit does.
func (r *rig) edit(ref operand.Ref, change func(*unstructured.Unstructured)) {
	r.t.Helper()
	r.await(func() error {
		o := r.get(ref)
		if o == nil {
			return fmt.Errorf("there is no %s", ref)
		}
		change(o)
		return r.api.Update(r.t.Context(), o, client.FieldOwner("kubectl-edit"))
	})
}

// quiet waits until the operator asks for nothing more.
func (r *rig) quiet() {
	r.t.Helper()
	if err := r.proxy.Quiet(r.t.Context(), time.Second); err != nil {
		r.t.Fatal(err)
	}
}

// ref names one of the objects that can be deployed.
func (r *rig) ref(kind, name string) operand.Ref {
	r.t.Helper()
	for _, ref := range operand.AllRefs(r.settings()) {
		if ref.Kind == kind && ref.Name == name {
			return ref
		}
	}
	r.t.Fatalf("no %s %s is ever deployed", kind, name)
	return operand.Ref{}
}

func set(t *testing.T, o *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(o.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

func clusterRole(name string) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"made-by": "somebody"}}}
}
