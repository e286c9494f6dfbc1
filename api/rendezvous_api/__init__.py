"""The API of kube-rendezvous as Python types: two kinds, their names, their reasons. Only standard library inside."""
