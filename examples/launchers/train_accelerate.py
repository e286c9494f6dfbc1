"""A script for `accelerate launch` (Hugging Face Accelerate): fits y = 3x with one weight.

    accelerate launch --multi_gpu --num_machines 2 --num_processes 2 --machine_rank 0 --main_process_ip train \
        --main_process_port 29500 --rdzv_backend kubernetes --rdzv_conf join_timeout=600 --max_restarts 100 \
        train_accelerate.py

Here ``--main_process_ip`` is the name of the Rendezvous. ``--machine_rank`` has no meaning and may be the same on all
nodes. See docs/launchers.md.
"""

import os

import torch
from accelerate import Accelerator

accelerator = Accelerator(cpu=not torch.cuda.is_available())
model = torch.nn.Linear(1, 1, bias=False)
model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
for _ in range(50):
    x = torch.rand(16, 1, device=accelerator.device)
    loss = torch.nn.functional.mse_loss(model(x), 3 * x)
    optimizer.zero_grad()
    accelerator.backward(loss)
    optimizer.step()
weight = accelerator.unwrap_model(model).weight.item()
print(
    f"round {os.environ.get('RDZV_ROUND')}: rank {accelerator.process_index} of {accelerator.num_processes}, "
    f"weight {weight:.2f}",
    flush=True,
)
accelerator.end_training()
