"""Kubeconfigs as tools write them, with other names and without secrets."""

_DATA = (
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJkekNDQVIyZ0F3SUJBZ0lCQURBS0JnZ3Foa2pPUFFRREFqQWpNU0V3SHdZ"
    "RFZRUUREQmhyTTNNdGMyVnkKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
)

_KUBEADM = f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {_DATA}
    server: https://192.0.2.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {{}}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: {_DATA}
    client-key-data: {_DATA}
"""

_MINIKUBE = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority: /home/ann/.minikube/ca.crt
    extensions:
    - extension:
        last-update: Mon, 02 Nov 2026 10:11:12 UTC
        provider: minikube.sigs.k8s.io
        version: v1.38.0
      name: cluster_info
    server: https://192.168.49.2:8443
  name: minikube
contexts:
- context:
    cluster: minikube
    extensions:
    - extension:
        last-update: Mon, 02 Nov 2026 10:11:12 UTC
        provider: minikube.sigs.k8s.io
        version: v1.38.0
      name: context_info
    namespace: default
    user: minikube
  name: minikube
current-context: minikube
kind: Config
preferences: {}
users:
- name: minikube
  user:
    client-certificate: /home/ann/.minikube/profiles/minikube/client.crt
    client-key: /home/ann/.minikube/profiles/minikube/client.key
"""

_EKS = f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {_DATA}
    server: https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-central-1.eks.amazonaws.com
  name: arn:aws:eks:eu-central-1:123456789012:cluster/train
contexts:
- context:
    cluster: arn:aws:eks:eu-central-1:123456789012:cluster/train
    user: arn:aws:eks:eu-central-1:123456789012:cluster/train
  name: arn:aws:eks:eu-central-1:123456789012:cluster/train
current-context: arn:aws:eks:eu-central-1:123456789012:cluster/train
kind: Config
preferences: {{}}
users:
- name: arn:aws:eks:eu-central-1:123456789012:cluster/train
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - --region
      - eu-central-1
      - eks
      - get-token
      - --cluster-name
      - train
      - --output
      - json
      command: aws
      env:
      - name: AWS_PROFILE
        value: "123"
      interactiveMode: IfAvailable
      provideClusterInfo: false
"""

_GKE = f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {_DATA}
    server: https://203.0.113.7
  name: gke_project-1_europe-west4-a_train
contexts:
- context:
    cluster: gke_project-1_europe-west4-a_train
    user: gke_project-1_europe-west4-a_train
  name: gke_project-1_europe-west4-a_train
current-context: gke_project-1_europe-west4-a_train
kind: Config
preferences: {{}}
users:
- name: gke_project-1_europe-west4-a_train
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: gke-gcloud-auth-plugin
      installHint: Install gke-gcloud-auth-plugin for use with kubectl by following
        https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl#install_plugin
      provideClusterInfo: true
"""

_AKS = f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {_DATA}
    server: https://train-dns-0a1b2c3d.hcp.westeurope.azmk8s.io:443
  name: train
contexts:
- context:
    cluster: train
    user: clusterUser_group_train
  name: train
current-context: train
kind: Config
preferences: {{}}
users:
- name: clusterUser_group_train
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - get-token
      - --login
      - devicecode
      - --server-id
      - 6dae42f8-4368-4678-94ff-3960e28e3630
      command: kubelogin
      env: null
      installHint: '

        kubelogin is not installed which is required to connect to AAD enabled cluster.


        To learn more, please go to https://aka.ms/aks/kubelogin

        '
      provideClusterInfo: false
"""


_OPENSHIFT = """\
apiVersion: v1
clusters:
- cluster:
    insecure-skip-tls-verify: true
    server: https://api.train.example.com:6443
  name: api-train-example-com:6443
contexts:
- context:
    cluster: api-train-example-com:6443
    namespace: team-a
    user: ann/api-train-example-com:6443
  name: team-a/api-train-example-com:6443/ann
current-context: team-a/api-train-example-com:6443/ann
kind: Config
preferences: {}
users:
- name: ann/api-train-example-com:6443
  user:
    token: sha256~0123456789-abcdefghijklmnopqrstuvwxyzABCDEF
"""

_RANCHER = f"""\
apiVersion: v1
kind: Config
clusters:
- name: "train"
  cluster:
    server: "https://rancher.example.com/k8s/clusters/c-m-0a1b2c3d"
    certificate-authority-data: "{_DATA[:76]}\\
      {_DATA[76:152]}\\
      {_DATA[152:]}"

users:
- name: "train"
  user:
    token: "kubeconfig-user-abcde12345:0123456789abcdefghijklmnopqrstuvwxyz"


contexts:
- name: "train"
  context:
    user: "train"
    cluster: "train"

current-context: "train"
"""

_BY_HAND = """\
# The cluster of the team; ask ann
apiVersion: v1
kind: Config

clusters:
  - name: team          # one of two
    cluster:
      server: https://[2001:db8::1]:6443
      certificate-authority: ca.crt
      tls-server-name: kubernetes.default.svc
      proxy-url: http://proxy.example.com:3128
  -   name: other
      cluster: {"server": "https://other.example.com:6443"}
users:
  - name: robot
    user:
      tokenFile: ../secrets/token   # relative
  - name: old
    user: {"username": "old", "password": "pass: #1"}
contexts:
  - name: team
    context:
      cluster: team
      user: robot
      namespace: 'team-a'
current-context: team
"""

_VIEW = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: DATA+OMITTED
    server: https://127.0.0.1:38217
  name: kind-kind
contexts: null
current-context: ""
kind: Config
preferences: {}
users: []
"""

_TEMPLATED = """\
---
apiVersion: v1
kind: Config
preferences:
  colors: true
clusters:
  -
    name: train
    cluster:
      server: https://10.0.0.1:6443
      certificate-authority: |-
        not a path, but read as written
users:
  -
    name: train
    user:
      client-certificate: /etc/certs/client.pem
      client-key: /etc/certs/client-key.pem
contexts:
  -
    name: train
    context:
      cluster: train
      user: train
current-context: train
"""

KUBECONFIGS = {
    "kubeadm, kind": _KUBEADM,
    "k3s": _KUBEADM.replace("kubernetes-admin@kubernetes", "default").replace("192.0.2.10", "127.0.0.1"),
    "minikube": _MINIKUBE,
    "EKS": _EKS,
    "GKE": _GKE,
    "AKS": _AKS,
    "OpenShift": _OPENSHIFT,
    "Rancher": _RANCHER,
    "by hand": _BY_HAND,
    "kubectl config view": _VIEW,
    "from a template": _TEMPLATED,
}
"""By tool."""
