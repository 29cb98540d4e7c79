"""A worker of a distributed training that also writes down what its process ended with, for a test to compare."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING

import torch

from scaseg_cli.base import train as training

if TYPE_CHECKING:
    from scaseg_cli.base.aligned_network import AlignedNetwork
    from scaseg_cli.base.device import World
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def train(recipe: Recipe, run: RunDir) -> None:
    """Train, then write rank-N.json into the run folder."""
    networks: list[AlignedNetwork] = []
    build = training._network

    def kept(recipe: Recipe, run: RunDir, world: World) -> AlignedNetwork:
        networks.append(build(recipe, run, world))
        return networks[-1]

    training._network = kept
    training.train(recipe, run)
    (network,) = networks
    state = network.state_dict()
    value = {
        "weights": _digest({name: t for name, t in state.items() if not name.startswith("v2c.")}),
        "bank": _digest({name: t for name, t in state.items() if name.startswith("v2c.")}),
        "bank_filled": int(network.v2c.bank.filled) if network.v2c is not None else 0,
        "finite": all(math.isfinite(float(t.sum())) for t in state.values()),
    }
    rank = torch.distributed.get_rank()
    (run.path / f"rank-{rank}.json").write_text(json.dumps(value))
