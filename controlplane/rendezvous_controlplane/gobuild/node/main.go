// Command node is what a whole cluster needs beside kube-apiserver and etcd: kube-controller-manager, kube-scheduler,
// kubelet and kube-proxy in one binary, which runs as the one whose name it is called by (through a symbolic link).
// It is a program of its own, so that whoever only wants the API server does not build it.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // /metrics of its own API client
	_ "k8s.io/component-base/metrics/prometheus/version"  // /metrics: kubernetes_build_info
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs maps the name of a program to what runs it and gives its exit code.
var programs = map[string]func() int{
	"kube-controller-manager": func() int { return cli.Run(controllermanager.NewControllerManagerCommand()) },
	"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kubelet":                 func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) },
	"kube-proxy":              func() int { return cli.Run(proxy.NewProxyCommand()) },
}

func main() {
	name := filepath.Base(os.Args[0])
	run, ok := programs[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "%q is no program in this binary\n", name)
		os.Exit(2)
	}
	os.Exit(run())
}
