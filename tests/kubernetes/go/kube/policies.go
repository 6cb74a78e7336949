package main

import (
	"context"
	"sync"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/cobra"
	apiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// newPolicyCommand is kube-router's controller of network policies alone, as k3s embeds it: it turns
// the policies of a node's pods into iptables rules and ipsets. Told to stop, it removes these.
func newPolicyCommand() *cobra.Command {
	config := options.NewKubeRouterConfig()
	config.EnableIPv4 = true
	command := &cobra.Command{
		Use:  "kube-router",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return enforcePolicies(apiserver.SetupSignalContext(), config)
		},
	}
	flags := command.Flags()
	flags.StringVar(&config.Kubeconfig, "kubeconfig", "", "how to reach the API server")
	flags.StringVar(&config.HostnameOverride, "hostname-override", "", "the name of this node")
	flags.StringSliceVar(&config.ClusterIPCIDRs, "service-cluster-ip-range", nil, "addresses of Services")
	return command
}

func enforcePolicies(ctx context.Context, config *options.KubeRouterConfig) error {
	login, err := clientcmd.BuildConfigFromFlags("", config.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(login)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	newController := func() (*netpol.NetworkPolicyController, error) {
		iptables, sets, err := netpol.NewIPTablesHandlers(config)
		if err != nil {
			return nil, err
		}
		return netpol.NewNetworkPolicyController(
			client, config, pods, policies, namespaces, &sync.Mutex{}, iptables, sets)
	}
	controller, err := newController()
	if err != nil {
		return err
	}
	for informer, handler := range map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		pods:       controller.PodEventHandler,
		namespaces: controller.NamespaceEventHandler,
		policies:   controller.NetworkPolicyEventHandler,
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}

	heartbeats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range heartbeats { // nobody asks how it is, but it waits to be heard
		}
	}()
	var running sync.WaitGroup
	running.Add(1)
	controller.Run(heartbeats, ctx.Done(), &running)
	running.Wait()

	cleaner, err := newController() // a fresh one: what a used one remembers it would write again
	if err != nil {
		return err
	}
	cleaner.Cleanup()
	return nil
}
