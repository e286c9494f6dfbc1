// Command controlplane is every server of the local control plane in one binary. It runs as the one whose name it is
// called by (through a symbolic link), as busybox does: kube-apiserver and etcd share most of their code, so one binary
// is half as large, and links in half the time, as two.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // /metrics of its own API client
	_ "k8s.io/component-base/metrics/prometheus/version"  // /metrics: kubernetes_build_info
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// servers maps the name of a program to what runs it and gives its exit code. To add another server of Kubernetes, add
// its line here, for example "kube-controller-manager" with its own NewControllerManagerCommand, then `go mod tidy`.
var servers = map[string]func() int{
	"kube-apiserver": func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"etcd":           func() int { etcdmain.Main(os.Args); return 0 },
}

func main() {
	name := filepath.Base(os.Args[0])
	run, ok := servers[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "%q is no server in this binary: call it as kube-apiserver or etcd\n", name)
		os.Exit(2)
	}
	os.Exit(run())
}
