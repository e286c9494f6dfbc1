"""``kubectl rdzv``: what a group of torchrun agents does, why, and what can be done."""
