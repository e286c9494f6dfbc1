"""Seeded random faults on real agents, operators, etcd and API server, and a check of what they did: ``make chaos``."""
