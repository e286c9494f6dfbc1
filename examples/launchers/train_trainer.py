"""A script with Hugging Face's Trainer, started by torchrun: fits y = 3x with one weight.

    torchrun --rdzv-backend=kubernetes --rdzv-endpoint=train --nnodes=2 --nproc-per-node=1 --max-restarts=100 \
        train_trainer.py /shared/output

The Trainer needs nothing else: it takes rank and size from what torchrun sets. It goes on from the last checkpoint in
the folder, which all nodes share. See docs/launchers.md.
"""

import os
import sys

import torch
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint


class Line(torch.nn.Module):  # type: ignore[misc] # torch is not type-checked here
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1, bias=False)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the Trainer wants: a dictionary with the loss."""
        return {"loss": torch.nn.functional.mse_loss(self.linear(x), labels)}


folder = sys.argv[1]
data = [{"x": x, "labels": 3 * x} for x in torch.rand(1024, 1)]
arguments = TrainingArguments(
    folder,
    num_train_epochs=3,
    learning_rate=0.05,
    per_device_train_batch_size=16,
    use_cpu=not torch.cuda.is_available(),
    save_steps=20,
    report_to="none",
)
trainer = Trainer(Line(), arguments, train_dataset=data)
trainer.train(resume_from_checkpoint=get_last_checkpoint(folder) if os.path.isdir(folder) else None)
print(
    f"round {os.environ.get('RDZV_ROUND')}: rank {arguments.process_index} of {arguments.world_size}, "
    f"step {trainer.state.global_step}",
    flush=True,
)
