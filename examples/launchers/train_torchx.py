"""A plain script for torchx's component `dist.ddp`: sums the ranks of all workers.

    torchx run --scheduler kubernetes dist.ddp -j 2x1 --max_retries 100 --rdzv_backend kubernetes \
        --env RDZV_RENDEZVOUS=train --script train_torchx.py

torchx writes the host of its first replica as the endpoint, so a variable names the Rendezvous. See docs/launchers.md.
"""

import os

import torch
import torch.distributed as dist

dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
total = torch.tensor([dist.get_rank()])
dist.all_reduce(total)
print(
    f"round {os.environ.get('RDZV_ROUND')}: rank {dist.get_rank()} of {dist.get_world_size()}, sum {int(total)}",
    flush=True,
)
dist.destroy_process_group()
