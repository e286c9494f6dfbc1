"""Kubeconfigs: read and merged as client-go does (``tools/clientcmd``), without any package.

What needs a package, see `extra`: credential plug-ins, identity providers, and YAML that no tool writes there.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rendezvous_api.access import proxy_to_use
from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_handler.kube.credentials import Credentials, Fixed, TokenFile, basic, bearer
from rendezvous_handler.kube.extra import PluginCredentials, read_all_of_yaml
from rendezvous_handler.kube.server import Server, parts_of
from rendezvous_handler.kube.tls import Pem, Tls, TlsSettings
from rendezvous_handler.kube.yaml_subset import YamlError, read_yaml


@dataclass(frozen=True)
class _Entry:
    """A cluster, a context or a user."""

    what: str
    values: Mapping[str, Any]
    folder: Path
    """Of its file: relative paths begin there."""

    def text(self, key: str) -> str:
        """Empty: it is not there."""
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ValueError(f"{key} of {self.what} is no text")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{key} of {self.what} is neither true nor false")
        return bool(value)

    def path(self, key: str) -> Path | None:
        value = self.text(key)
        return self.folder / value if value else None

    def pem(self, key: str) -> Pem | None:
        """A file, or what it would have in it, which counts more."""
        data = self.text(f"{key}-data")
        if data:
            try:
                return Pem(text=base64.b64decode("".join(data.split()), validate=True).decode("ascii", "ignore"))
            except binascii.Error as error:
                raise ValueError(f"{key}-data of {self.what}: {error}") from None
        file = self.path(key)
        return Pem(file=str(file)) if file is not None else None


@dataclass
class _Kubeconfig:
    """Several files as one: the first that has something of a name wins, and the first that names a context."""

    clusters: dict[str, _Entry] = field(default_factory=dict)
    contexts: dict[str, _Entry] = field(default_factory=dict)
    users: dict[str, _Entry] = field(default_factory=dict)
    current_context: str = ""

    def add(self, file: Path) -> None:
        """Merge one more file."""
        content = _read(file)
        if not isinstance(content, dict):
            raise ValueError("it is no mapping")
        for entries, plural, key in (
            (self.clusters, "clusters", "cluster"),
            (self.contexts, "contexts", "context"),
            (self.users, "users", "user"),
        ):
            listed = content.get(plural) or []
            if not isinstance(listed, list):
                raise ValueError(f"{plural} is no list")
            for item in listed:
                if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                    raise ValueError(f"one of {plural} has no name")
                values = item.get(key) or {}
                if not isinstance(values, dict):
                    raise ValueError(f"{key} {item['name']!r} is no mapping")
                entries.setdefault(item["name"], _Entry(f"{key} {item['name']!r}", values, file.parent.absolute()))
        current = content.get("current-context")
        if not self.current_context and isinstance(current, str):
            self.current_context = current


def server_of(files: str) -> tuple[Server, str]:
    """The API server of the current context, and its namespace.

    Args:
        files: kubeconfigs, with ``:`` between them.

    Raises:
        NoConfigurationError: they cannot be used.
    """
    try:
        merged = _Kubeconfig()
        for name in files.split(os.pathsep):
            merged.add(Path(name).expanduser())
        context = _named(merged.contexts, merged.current_context, "current-context")
        cluster = _named(merged.clusters, context.text("cluster"), f"the cluster of {context.what}")
        user = _Entry("no user", {}, Path())
        if context.text("user"):
            user = _named(merged.users, context.text("user"), f"the user of {context.what}")
        return _server(files, merged.current_context, cluster, user), context.text("namespace") or "default"
    except (NoConfigurationError, OSError, ValueError) as error:
        raise NoConfigurationError(f"the kubeconfig {files} cannot be used: {error}") from None


def _read(file: Path) -> Any:
    text = file.read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return read_yaml(text)
    except YamlError as error:
        return read_all_of_yaml(text, str(error))


def _named(entries: Mapping[str, _Entry], name: str, what: str) -> _Entry:
    if not name:
        raise ValueError(f"{what} is not set")
    if name not in entries:
        raise ValueError(f"{what} is {name!r}, which is not in it")
    return entries[name]


def _server(files: str, context: str, cluster: _Entry, user: _Entry) -> Server:
    url = cluster.text("server").rstrip("/")
    where, _ = parts_of(url, f"server of {cluster.what}")
    certificate, key = user.pem("client-certificate"), user.pem("client-key")
    credentials = _credentials(files, context, user)
    if isinstance(credentials, PluginCredentials) and credentials.certificate is not None:
        certificate, key = (Pem(file=file) for file in credentials.certificate)
    if (certificate is None) != (key is None):
        raise ValueError(f"{user.what} has only one of client-certificate and client-key")
    tls = None
    if where.scheme == "https":
        settings = TlsSettings(
            authority=cluster.pem("certificate-authority"),
            certificate=certificate,
            key=key,
            verify=not cluster.flag("insecure-skip-tls-verify"),
            server_name=cluster.text("tls-server-name"),
        )
        tls = Tls(settings)
    return Server(url, credentials, tls, proxy_to_use(url, cluster.text("proxy-url"), os.environ))


def _credentials(files: str, context: str, user: _Entry) -> Credentials:
    if any(user.values.get(key) for key in ("as", "as-uid", "as-groups", "as-user-extra")):
        raise ValueError(f"{user.what} is to act as another one (as), which an agent cannot do")
    token, token_file = user.text("token"), user.path("tokenFile")
    if (token or token_file) and user.text("username"):
        raise ValueError(f"{user.what} has a token and a username: only one of them can be used")
    if token_file is not None:
        found = TokenFile(token_file, token)
        found.header()  # what cannot be used is refused now
        return found
    if token:
        return Fixed(bearer(token))
    if user.text("username"):
        return Fixed(basic(user.text("username"), user.text("password")))
    if user.values.get("exec") or user.values.get("auth-provider"):
        return PluginCredentials(files, context)
    return Fixed()
