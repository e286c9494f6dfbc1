"""``kube-rendezvous-selftest``: members without torch that join as agents do, and say what does not work."""
