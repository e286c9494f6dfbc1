"""The handler: what torchrun loads by ``--rdzv-backend=kubernetes``."""
