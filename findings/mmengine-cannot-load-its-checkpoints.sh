#!/usr/bin/env bash
# Package: mmengine 0.10.7 with torch 2.11.0 (CPU is enough), Python 3.11.
#
# Behaviour: mmengine cannot read the checkpoints it has just written itself. load_checkpoint and the Runner's resume
# both end in torch's "Weights only load failed": the file holds mmengine's HistoryBuffer objects and NumPy values, which
# torch.load refuses since it reads weights alone by default. To let the refused names through one by one would let
# getattr through too. Of a file of one's own, torch.load(..., weights_only=False) reads all.
#
# Guess that missed: what the Runner saves, it and load_checkpoint of the same version load and resume from.
#
# Seen:
#   load_checkpoint: UnpicklingError, Weights only load failed
#   Runner(resume=True): UnpicklingError, Weights only load failed
#   refused names: builtins.getattr, mmengine.logging.history_buffer.HistoryBuffer, numpy._core.multiarray._reconstruct,
#     numpy._core.multiarray.scalar, numpy.dtype, numpy.ndarray
#   with weights_only=False: epoch 2
#
# Why it matters: a segmentation training of days on MMDetection or MMSegmentation cannot be resumed after it stops, nor
# its checkpoint be tested or fine-tuned, in an environment in which it trained without a complaint.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.11.0 torchvision==0.26.0 mmengine==0.10.7 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - 2>/dev/null <<'EOF' | grep -e '^load_checkpoint:' -e '^Runner(' -e '^refused' -e '^with weights'
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner, load_checkpoint
from torch import nn
from torch.serialization import get_unsafe_globals_in_checkpoint


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x, y, mode="tensor"):
        return {"loss": ((self.layer(x) - y) ** 2).mean()}


def runner(**options):
    loader = {
        "batch_size": 2,
        "num_workers": 0,
        "dataset": [(torch.ones(2), torch.ones(1))] * 4,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
    }
    return Runner(
        Model(), "work", train_dataloader=loader, train_cfg={"by_epoch": True, "max_epochs": 2},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}}, **options,
    )


def outcome(act):
    try:
        act()
    except Exception as error:
        assert "Weights only load failed" in str(error)
        return f"{type(error).__name__}, Weights only load failed"
    return "works"


runner().train()
loaded = outcome(lambda: load_checkpoint(Model(), "work/epoch_2.pth"))
resumed = outcome(lambda: runner(resume=True).train())
print(f"\nload_checkpoint: {loaded}")
print(f"Runner(resume=True): {resumed}")
refused = sorted(get_unsafe_globals_in_checkpoint("work/epoch_2.pth"))
print("refused names:", ", ".join(refused))
content = torch.load("work/epoch_2.pth", weights_only=False)
print(f"with weights_only=False: epoch {content['meta']['epoch']}")
assert loaded == resumed == "UnpicklingError, Weights only load failed" and content["meta"]["epoch"] == 2
assert {"builtins.getattr", "mmengine.logging.history_buffer.HistoryBuffer"} <= set(refused)
EOF
