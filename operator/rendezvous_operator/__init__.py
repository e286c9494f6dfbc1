"""The operator: decides membership, liveness and ranks of every Rendezvous."""

import sys

if sys.version_info < (3, 11):
    # Installers refuse by `requires-python`; this is for a PYTHONPATH, where the first error would be another one.
    sys.exit(f"kube-rendezvous-operator needs Python 3.11 or later; this is Python {sys.version.split()[0]}")
