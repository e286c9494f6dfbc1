"""A script for `fabric run` (Lightning Fabric): fits y = 3x with one weight.

    PET_RDZV_BACKEND=kubernetes PET_RDZV_ENDPOINT=train PET_MAX_RESTARTS=100 \
        fabric run --num-nodes=2 --devices=1 train_fabric.py

``fabric run`` has no options for the rendezvous and leaves it to the variables of torchrun, which a label on the pods
sets, too. It tells the script the number of nodes as it was given, so the script takes that of the round. See
docs/launchers.md.
"""

import os

import lightning
import torch

world, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
fabric = lightning.Fabric(num_nodes=world // local, devices=local, strategy="ddp")
model = torch.nn.Linear(1, 1, bias=False)
model, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=0.1))
for _ in range(50):
    x = torch.rand(16, 1, device=fabric.device)
    loss = torch.nn.functional.mse_loss(model(x), 3 * x)
    optimizer.zero_grad()
    fabric.backward(loss)
    optimizer.step()
print(
    f"round {os.environ.get('RDZV_ROUND')}: rank {fabric.global_rank} of {fabric.world_size}, "
    f"weight {model.module.weight.item():.2f}",
    flush=True,
)
