"""``kubectl rdzv inject``: writes manifests with what the chart's injection policy would add to their pods."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kube_rendezvous_cli import yaml_text
from kube_rendezvous_cli.injection import PARTS, Settings, inject, warnings, with_injection
from kube_rendezvous_cli.kubectl import CommandError, Kubectl, KubectlError
from rendezvous_api import names

Json = dict[str, Any]

RESTARTS_SINCE = (1, 35)
"""The first Kubernetes that knows restartPolicyRules by default. Earlier ones refuse such a pod, or ignore them."""

_OPERATOR = "--selector=app.kubernetes.io/part-of=kube-rendezvous,app.kubernetes.io/component=operator"
_MARK = f"{names.GROUP}/no-such-annotation-"


def run(kubectl: Kubectl, options: argparse.Namespace) -> int:
    """Read, change, write. A filter lets through what it does not know, so the exit code is 0 if no pod has the label.

    Raises:
        CommandError: a file cannot be read, or the image is not known.
    """
    found = read(kubectl, options.filename, recursive=options.recursive)
    settings = settings_of(kubectl, options)
    written = []
    for item in found:
        changed, count = with_injection(item, _changer(kubectl, item, settings))
        written.append(changed)
        metadata = item.get("metadata") or {}
        name = f"{item.get('kind')}/{metadata.get('name') or metadata.get('generateName')}"
        print(f"{name}: {'injected' if count else 'no pod template with the label, unchanged'}", file=sys.stderr)
        for warning in warnings(item):
            print(f"warning: {warning}", file=sys.stderr)
    if options.output == "json":
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": written}, indent=2))
    else:
        print("---\n".join(yaml_text.dump(item) for item in written), end="")
    return 0


def _changer(kubectl: Kubectl, item: Json, settings: Settings) -> Callable[[Json], Json | None]:
    namespace = (item.get("metadata") or {}).get("namespace")

    def mounts_token(account: str) -> bool:
        try:
            found = kubectl.json("get", "serviceaccount", account, namespace=namespace)
        except KubectlError:  # it is not there yet, or may not be read: then its default counts
            return True
        return found.get("automountServiceAccountToken") is not False

    return lambda pod: inject(pod, settings, mounts_token)


def read(kubectl: Kubectl, names_of_files: Sequence[str], *, recursive: bool = False) -> list[Json]:
    """The objects in the files. It is kubectl that reads them, and it asks no server.

    Raises:
        CommandError: there is no such file, or it has no object.
    """
    stdin = sys.stdin.read() if "-" in names_of_files else None
    files = [f"--filename={name}" for name in names_of_files]
    more = ["--recursive"] if recursive else []
    # To remove an annotation that is not there is the one local command that knows all kinds.
    text = kubectl.run("annotate", "--local", *files, *more, _MARK, "--output=json", stdin=stdin)
    found = [*_values(text)]
    if not found:
        raise CommandError(f"{', '.join(names_of_files)}: there is no object in it")
    for item in found:
        metadata = item.get("metadata")
        # kubectl adds it.
        if isinstance(metadata, dict) and metadata.get("annotations") == {}:
            del metadata["annotations"]
    return found


def _values(text: str) -> list[Json]:
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(text):
        blank = re.compile(r"\s*").match(text, at)
        at = blank.end() if blank is not None else at
        if at < len(text):
            value, at = decoder.raw_decode(text, at)
            found.append(value)
    return found


def settings_of(kubectl: Kubectl, options: argparse.Namespace) -> Settings:
    """The values of the options.

    Raises:
        CommandError: the image is needed, and not known.
    """
    parts = [part for part in PARTS if part not in options.without]
    if "restart-in-place" in parts:
        version = options.kube_version or server_version(kubectl)
        if version is None or version < RESTARTS_SINCE:
            reason = "is not known (--kube-version)" if version is None else f"is {version[0]}.{version[1]}"
            oldest = ".".join(map(str, RESTARTS_SINCE))
            print(
                f"note: restart-in-place is left out: it needs Kubernetes {oldest}, and the version {reason}",
                file=sys.stderr,
            )
            parts.remove("restart-in-place")
    image = options.image or ""
    if not image and options.handler != "none" and "handler" in parts:
        image = _operator_image(kubectl) if options.handler == "initContainer" else ""
        if not image:
            what = "the image of the operator" if options.handler == "initContainer" else "the image of the handler"
            raise CommandError(
                f"{what} is not known: give --image, or --handler=none if your images have the handler", 2
            )
    return Settings(
        image=image,
        method=options.handler,
        pull_policy=options.pull_policy,
        parts=tuple(parts),
        max_restarts=options.max_restarts,
        restarts_max=options.restarts_max,
        toleration_seconds=options.toleration_seconds,
        default_toleration_seconds=options.default_toleration_seconds,
    )


def server_version(kubectl: Kubectl) -> tuple[int, int] | None:
    """Of the API server; None: it does not answer."""
    try:
        found = kubectl.json("version")["serverVersion"]
    except (KubectlError, KeyError):
        return None
    return int(found["major"]), int(re.sub(r"\D", "", found["minor"]))


def _operator_image(kubectl: Kubectl) -> str:
    """What the operator of this cluster runs; empty: it is not found, or may not be read."""
    try:
        deployments = kubectl.items("deployments", "--all-namespaces", _OPERATOR, namespace="")
    except KubectlError:
        return ""
    images = {
        container["image"]
        for deployment in deployments
        for container in deployment["spec"]["template"]["spec"]["containers"]
        if container["name"] == "operator"
    }
    return images.pop() if len(images) == 1 else ""
