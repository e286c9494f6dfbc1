"""How soon the others of a group know that a member is lost, and that no healthy member is dropped.

`python -m benchmarks.detection` measures, and `python -m benchmarks.detection.report` writes docs/detection.md.
"""
