"""Compute the memory of a training step of stage 1, without a GPU, from what a forward pass keeps for the backward one.

    python benchmarks/training_memory.py --size published

The network of the recipe, with random weights, runs forward on one image on the CPU, with the deformable attention in
the form for GPUs. Counted are the tensors that autograd keeps, each storage once; the weights, their gradients and
AdamW's two moments; and CLIP's weights. Memory of a moment, such as a convolution's workspace, is not counted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
from base_step import NUM_SEEN, RECIPES, make_batch, our_network
from measuring import Outcome, machine_of, prepare, run_benchmark

from scaseg_cli.base import deformable_attention
from scaseg_cli.clip.load import load_clip
from scaseg_cli.recipe import load_recipe

if TYPE_CHECKING:
    import argparse

    from torch import Tensor

    from scaseg_cli.recipe.schema import Recipe

_GB = 1e9


def kept_bytes(recipe: Recipe, num_seen: int) -> tuple[int, int]:
    """Bytes that one image's forward pass keeps for the backward pass, and those of weights, gradients and AdamW."""
    network: Any = our_network(recipe, num_seen, "cpu", aligned=True).train()
    batch = make_batch(recipe.base, 1, num_seen)
    own = {parameter.untyped_storage().data_ptr() for parameter in (*network.parameters(), *network.buffers())}
    pieces: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            pieces[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    data = network.data_preprocessor(batch, training=True)
    half = {"bf16": torch.bfloat16}.get(recipe.base.amp)
    keeping = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with keeping, torch.autocast("cpu", half, enabled=half is not None):
        network(**data, mode="loss")
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    rest = sum(p.numel() for p in network.parameters()) - trained
    return sum(pieces.values()), 4 * (4 * trained + rest)


def measure(options: argparse.Namespace) -> Outcome:
    """Compute the memory with and without 16 bits."""
    prepare("cpu")
    deformable_attention.BySparseMatrix = deformable_attention.ByLevel  # type: ignore[misc, assignment]
    figures: dict[str, float] = {}
    kept = {}
    names = [RECIPES[options.size]] + (["coco-zss"] if options.size == "published" else [])
    for name in names:
        random = ["base.backbone.checkpoint=null", *(["clip.checkpoint=null"] if name != "shapes-zps" else [])]
        for amp in ("off", "bf16"):
            recipe = load_recipe(name, (*random, "threads=null", f"base.amp={amp}"))
            kept[name, amp], fixed = kept_bytes(recipe, NUM_SEEN[options.size])
            figures[f"{name}, amp {amp}: kept per image, GB"] = kept[name, amp] / _GB
        figures[f"{name}: weights, gradients, AdamW, GB"] = fixed / _GB
        figures[f"{name}: CLIP's weights, GB"] = _clip_bytes(recipe) / _GB
    first = names[0]
    return Outcome(
        benchmark="training_memory",
        device="cpu",
        size=options.size,
        ratio_of="kept with bf16 / without",
        ratio=kept[first, "bf16"] / kept[first, "off"],
        goal=None,
        figures=figures,
        notes=("Computed on a CPU from what a forward pass keeps; no GPU ran.",),
        machine=machine_of("cpu"),
    )


def _clip_bytes(recipe: Recipe) -> int:
    return sum(p.numel() * p.element_size() for p in load_clip(recipe.clip)._module.parameters())


if __name__ == "__main__":
    sys.exit(run_benchmark("The memory of a training step, computed", ("cpu",), measure))
