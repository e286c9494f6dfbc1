"""What the extra ``kubeconfig`` adds: credential plug-ins and identity providers of a kubeconfig, and all of YAML.

The only module that imports what is not in the standard library, and only when it is needed.
"""

from __future__ import annotations

import math
import time
from typing import Any

from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_handler.kube.background import Background

INSTALL = "pip install 'kube-rendezvous[kubeconfig]'"

_FIRST_SECONDS = 60.0
_SECONDS = 3.0
"""For a plug-in that is asked again, before a request that has so much time. The next one waits for the same answer."""

_PAUSE_SECONDS = 5.0
"""Between two questions because of refusals. A plug-in is a program, and each refused request would start it."""


def read_all_of_yaml(text: str, problem: str) -> Any:
    """The value of a document.

    Args:
        text: the document.
        problem: why the standard library is not enough.

    Raises:
        ValueError: it is no YAML; or the package is missing.
    """
    try:
        import yaml
    except ImportError:
        raise ValueError(
            f"{problem}. What is read without it is what kubectl writes; for all of YAML: {INSTALL}"
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


class PluginCredentials:
    """Credentials that the ``kubernetes`` package gets: from a program (``exec``) or a provider (``auth-provider``)."""

    def __init__(self, files: str, context: str):
        """Ask for them.

        Args:
            files: kubeconfigs, with ``:`` between them.
            context: of these, whose user has the plug-in.

        Raises:
            NoConfigurationError: there are none; or the package is missing.
        """
        try:
            from kubernetes import client, config
        except ImportError:
            raise NoConfigurationError(
                f"the user of the context {context!r} has a credential plug-in (exec or auth-provider), and that needs "
                f"the kubernetes package: {INSTALL}"
            ) from None

        def load() -> Any:
            configuration = client.Configuration()
            config.load_kube_config(config_file=files, context=context, client_configuration=configuration)
            return configuration

        self._load = Background(load, "credential-plugin")
        self._ask = Background(lambda: _header_of(self._configuration), "credential-plugin")
        self._refused_at = time.monotonic() - _PAUSE_SECONDS
        try:
            self._configuration = self._load.within(_FIRST_SECONDS)
        except Exception as error:  # noqa: BLE001 - what the package raises is not documented
            raise NoConfigurationError(f"credentials by a plug-in: {str(error) or type(error).__name__}") from None
        if not _header_of(self._configuration) and self.certificate is None:
            raise NoConfigurationError("its credential plug-in has given no credentials, see the log")

    @property
    def certificate(self) -> tuple[str, str] | None:
        """Files with the certificate of the client and its key, where the plug-in gives these."""
        files = self._configuration.cert_file, self._configuration.key_file
        return files if all(files) else None

    def header(self, seconds: float = math.inf) -> str:
        """See `Credentials`. The package asks again when they expire, if the plug-in says when that is."""
        try:
            return self._ask.within(min(seconds, _SECONDS))
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise ValueError(str(error) or type(error).__name__) from None

    def refused(self, header: str, seconds: float = math.inf) -> bool:
        """See `Credentials`."""
        deadline = time.monotonic() + seconds
        if time.monotonic() - self._refused_at < _PAUSE_SECONDS:
            return False
        self._refused_at = time.monotonic()
        try:
            self._configuration = self._load.within(min(seconds, _SECONDS))
            return self.header(deadline - time.monotonic()) not in ("", header)
        except Exception:  # noqa: BLE001 - as above; the refusal is the error that is shown
            return False


def _header_of(configuration: Any) -> str:
    # Not auth_settings(): that of kubernetes 36.0.0 does not know the key under which its loaders put the token.
    key = "BearerToken" if "BearerToken" in configuration.api_key else "authorization"
    return str(configuration.get_api_key_with_prefix(key) or "").strip()
