"""No certificate of the test cluster names a key, as in many clusters; programs accept them on Python 3.13, too.

The operator and the self-test, which joins by the code of the agent, run on that Python in the image of the operator.
"""

from typing import Any

from tests.cluster.harness import Group
from tests.cluster.manifests import SERVICE_ACCOUNT
from tests.cluster.release import Release

ASK = """
import socket, ssl
context = ssl.create_default_context(cafile="/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
try:
    context.wrap_socket(socket.create_connection(("10.96.0.1", 443), 10), server_hostname="10.96.0.1")
    print("accepted")
except ssl.SSLCertVerificationError as error:
    print(error.verify_message)
"""


def pod(name: str, image: str, *command: str) -> dict[str, Any]:
    """A pod of the operator's image, as of the user of the group's agents."""
    container = {"name": "main", "image": image, "imagePullPolicy": "Never", "command": list(command)}
    spec = {"restartPolicy": "Never", "serviceAccountName": SERVICE_ACCOUNT, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_agents_and_operator_accept_certificates_without_key_identifiers(group: Group, release: Release) -> None:
    group.create_rendezvous(2, 2)
    group.create(pod("by-default", release.image, "python3", "-c", ASK))
    members = ("one", "another")
    for name in members:
        group.create(pod(name, release.image, "kube-rendezvous-selftest", "--rendezvous=train"))
    ended = {"Succeeded", "Failed"}
    group.wait(lambda: {one.phase for one in group.pods()} <= ended, "all pods to end")
    # What this Python does by itself. Else the rest would show nothing.
    assert group.log("by-default").strip() == "Missing Authority Key Identifier"
    assert {one.name: one.phase for one in group.pods() if one.name in members} == dict.fromkeys(members, "Succeeded")
    assert group.status.round == 1
