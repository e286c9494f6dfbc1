"""How long a group is down after a fault, with this rendezvous and with other launchers, on real processes.

``python -m benchmarks.recovery`` measures, ``python -m benchmarks.recovery.report`` writes docs/recovery.md.
"""
