"""Who the cluster's own programs are to the API server, and their kubeconfigs."""

from pathlib import Path

from rendezvous_controlplane.credentials import write_kubeconfig, write_signing_key, write_token_file

from .certificates import certificate
from .layout import API_URL, NODES, kubeconfig, state_dir

_ADMIN = "admin"
# User names and groups are those for which Kubernetes has roles of its own.
_USERS = {
    _ADMIN: ("system:masters",),
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
    "system:kube-proxy": (),
    **{f"system:node:{node}": ("system:nodes",) for node in NODES},
}


def token_file() -> Path:
    """The users that the API server knows, and their tokens."""
    return state_dir() / "tokens.csv"


def signing_key() -> Path:
    """The private key with which service-account tokens are signed."""
    return state_dir() / "service-account.key"


def previous_signing_key() -> Path:
    """The key before it, whose tokens are valid still; the file need not be there."""
    return state_dir() / "service-account-previous.key"


def user_kubeconfig(user: str) -> Path:
    """The kubeconfig of one of the cluster's own programs, such as `system:node:node-a`."""
    return state_dir() / "kubeconfigs" / f"{user.replace(':', '-')}.kubeconfig"


def make_credentials() -> None:
    """Make what is missing; those that are there stay, for programs run with them."""
    if not signing_key().exists():
        write_signing_key(signing_key())
    if kubeconfig().exists():  # it is written last
        return
    authority = certificate("ca").read_text(encoding="ascii")
    tokens = write_token_file(token_file(), _USERS)
    user_kubeconfig(_ADMIN).parent.mkdir(mode=0o700, exist_ok=True)
    for user, token in tokens.items():
        if user != _ADMIN:
            write_kubeconfig(user_kubeconfig(user), API_URL, authority, token)
    write_kubeconfig(kubeconfig(), API_URL, authority, tokens[_ADMIN])


def replace_signing_key(keep_previous: bool) -> None:
    """Make a new key. keep_previous: whether tokens that were signed with the one until now stay valid."""
    if keep_previous:
        signing_key().replace(previous_signing_key())
    else:
        previous_signing_key().unlink(missing_ok=True)
    write_signing_key(signing_key())


def admin_token() -> str:
    """The administrator's token."""
    for line in token_file().read_text(encoding="utf-8").splitlines():
        token, user, *_ = line.split(",")
        if user == _ADMIN:
            return token
    raise AssertionError(f"{token_file()} has no administrator")
