"""A script with Lightning, started by torchrun: fits y = 3x with one weight.

    torchrun --rdzv-backend=kubernetes --rdzv-endpoint=train --nnodes=2 --nproc-per-node=1 --max-restarts=100 \
        train_lightning.py /shared/output

Lightning notices torchrun and starts no processes itself. ``num_nodes`` must be the number of nodes of the round, so it
is taken from what torchrun sets. See docs/launchers.md.
"""

import os
import sys

import lightning
import torch


class Line(lightning.LightningModule):  # type: ignore[misc] # Lightning is not type-checked here
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1, bias=False)

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        """The loss of one batch."""
        return torch.nn.functional.mse_loss(self.linear(batch), 3 * batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As simple as it can be."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


world, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
data = torch.utils.data.DataLoader(torch.rand(1024, 1), batch_size=16)
trainer = lightning.Trainer(
    num_nodes=world // local,
    devices=local,
    accelerator="gpu" if torch.cuda.is_available() else "cpu",
    strategy="ddp",
    max_epochs=3,
    default_root_dir=sys.argv[1],
    logger=False,
    enable_progress_bar=False,
)
trainer.fit(Line(), data, ckpt_path="last")
print(
    f"round {os.environ.get('RDZV_ROUND')}: rank {trainer.global_rank} of {trainer.world_size}, "
    f"step {trainer.global_step}",
    flush=True,
)
