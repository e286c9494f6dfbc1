"""Writes docs/detection.md."""

from pathlib import Path

RESULTS = Path(__file__).with_name("results")
