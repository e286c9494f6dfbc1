"""A script with DeepSpeed, started by torchrun: fits y = 3x with one weight.

    torchrun --rdzv-backend=kubernetes --rdzv-endpoint=train --nnodes=2 --nproc-per-node=1 --max-restarts=100 \
        train_deepspeed.py

DeepSpeed takes rank and size from what torchrun sets. Its own launcher, ``deepspeed``, knows no rendezvous. See
docs/launchers.md.
"""

import os

import deepspeed
import torch

deepspeed.init_distributed()
model = torch.nn.Linear(1, 1, bias=False)
engine, *_ = deepspeed.initialize(
    model=model,
    optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
    config={"train_micro_batch_size_per_gpu": 16, "zero_optimization": {"stage": 0}},
)
for _ in range(50):
    x = torch.rand(16, 1, device=engine.device)
    engine.backward(torch.nn.functional.mse_loss(engine(x), 3 * x))
    engine.step()
print(
    f"round {os.environ.get('RDZV_ROUND')}: rank {torch.distributed.get_rank()} of "
    f"{torch.distributed.get_world_size()}, weight {engine.module.weight.item():.2f}",
    flush=True,
)
