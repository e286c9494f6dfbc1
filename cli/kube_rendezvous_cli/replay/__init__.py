"""``kubectl rdzv replay``: decides again what an operator has recorded."""
