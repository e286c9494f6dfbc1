"""The configuration of what runs on a node: containerd, its network plugin, kubelet and kube-proxy."""

import json
from pathlib import Path
from typing import Any

from .certificates import certificate
from .cgroups import group_of
from .credentials import user_kubeconfig
from .images import PAUSE_IMAGE
from .layout import NODE_ADDRESSES, NODE_LEASE_SECONDS, NODES, POD_NETWORK, POD_SUBNETS, state_dir

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

# What the kubelet sets on its machine when it starts. These are settings of the whole kernel, so a node is shown files
# with these values in their places instead: it finds everything as it should be.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def node_dir(node: str) -> Path:
    """The node's disk and configuration."""
    return state_dir() / node


def write_configuration(node: str, debian: Path) -> None:
    """Write all files of a node's configuration. debian: the root that Debian's packages were unpacked into."""
    folder = node_dir(node)
    for name in ("lib", "log", "etc", "kernel", "cni"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    names = [f"{address} {name}\n" for name, address in NODE_ADDRESSES.items()]
    # The second line: torch asks for the name of this form of the address, and would ask a nameserver.
    (folder / "etc" / "hosts").write_text("127.0.0.1 localhost\n::ffff:127.0.0.1 localhost\n" + "".join(names))
    (folder / "etc" / "resolv.conf").write_text("# No nameserver: see docs/test-cluster.md\n")
    (folder / "etc" / "machine-id").write_text(f"{NODES.index(node) + 1:032x}\n")
    for setting, value in KERNEL_SETTINGS.items():
        (folder / "kernel" / setting.replace("/", ".")).write_text(f"{value}\n")
    (folder / "containerd.toml").write_text(_containerd(node, debian))
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(_cni(node), indent=2))
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(node), indent=2))
    (folder / "kube-proxy.json").write_text(json.dumps(_kube_proxy(node), indent=2))


def mount_script(node: str) -> str:
    """A shell script that gives a node, in its mount namespace, its own disk in the places where programs look."""
    folder = node_dir(node)
    files = {f"/etc/{name}": folder / "etc" / name for name in ("hosts", "resolv.conf", "machine-id")}
    files |= {f"/proc/sys/{name}": folder / "kernel" / name.replace("/", ".") for name in KERNEL_SETTINGS}
    lines = ["set -e", "mount --make-rshared /"]
    lines += [f"mount --bind '{folder / name}' /var/{name}" for name in ("lib", "log")]
    lines += [f"if [ -e {path} ]; then mount --bind '{file}' {path}; fi" for path, file in files.items()]
    return "\n".join(lines)


def _containerd(node: str, debian: Path) -> str:
    folder = node_dir(node)
    # It would make the folder /opt/containerd; the others are file systems that nothing here uses.
    unused = [
        "io.containerd.internal.v1.opt",
        *(f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")),
    ]
    return f"""
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = {json.dumps(unused)}

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # A machine may not be allowed to lower anybody's oom_score_adj (no CAP_SYS_RESOURCE).
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{debian / "usr" / "lib" / "cni"}"
    conf_dir = "{folder / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def _cni(node: str) -> dict[str, Any]:
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                # A cable from each pod to the node, which routes: unlike on a bridge, all traffic passes the rules of
                # kube-proxy, without further settings of the kernel.
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": POD_SUBNETS[node]}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni/addresses",  # empty after a power cut, as the node is
                },
            }
        ],
    }


def _kubelet(node: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificate("ca"))},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": group_of(node),
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "protectKernelDefaults": True,  # they are as they should be: see KERNEL_SETTINGS
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        # Nobody listens there, so that a look-up of a name fails at once; without any, every pod gets a warning.
        "clusterDNS": ["127.0.0.1"],
        "clusterDomain": "cluster.local",
        # Not /etc/resolv.conf: that may be a link into /run (systemd-resolved), where the node has nothing.
        "resolvConf": str(node_dir(node) / "etc" / "resolv.conf"),
        "nodeLeaseDurationSeconds": NODE_LEASE_SECONDS,
        "nodeStatusUpdateFrequency": f"{NODE_LEASE_SECONDS // 4}s",
        # The disk is the real machine's: no node is to clear it, or to refuse pods, before it is really full.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "syncFrequency": "20s",  # a minute; so that changed secrets, config maps and tokens reach pods sooner
    }


def _kube_proxy(node: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(user_kubeconfig("system:kube-proxy"))},
        "mode": "nftables",
        "clusterCIDR": POD_NETWORK,
        "oomScoreAdj": 0,
        # The size of the kernel's table of connections is a setting of the real machine: leave it.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "hostnameOverride": node,
    }
