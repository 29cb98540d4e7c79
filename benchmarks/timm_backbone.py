"""Compare two layouts of the images that a network of timm with depthwise convolutions takes on a CPU.

    python benchmarks/timm_backbone.py

The network is the backbone of the recipes for photographs, at their crop and batch size, with random weights. Times are
those of a forward and a backward pass.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from measuring import Outcome, in_turns, machine_of, prepare, run_benchmark

from scaseg_cli.base.timm_backbone import TimmBackbone
from scaseg_cli.recipe import load_recipe

if TYPE_CHECKING:
    import argparse

_RECIPE = "msrc-zps"


def measure(options: argparse.Namespace) -> Outcome:
    """Time passes of both layouts in turns."""
    prepare(options.device)
    base = load_recipe(_RECIPE, ()).base
    backbone = TimmBackbone(str(base.backbone.timm)).train()
    crop = base.crop if isinstance(base.crop, int) else base.crop[0]
    images = torch.rand(base.batch_size, 3, crop, crop)
    rows, last = images.contiguous(), images.contiguous(memory_format=torch.channels_last)

    def plain(given: torch.Tensor, training: bool) -> None:
        maps = backbone.body.forward_intermediates(
            given, indices=backbone.indices, norm=False, output_fmt="NCHW", intermediates_only=True
        )
        if training:
            torch.stack([one.sum() for one in maps]).sum().backward()

    def without_training(given: torch.Tensor) -> None:
        with torch.no_grad():
            plain(given, training=False)

    ways = {
        "rows, training": lambda: plain(rows, training=True),
        "last, training": lambda: plain(last, training=True),
        "rows, alone": lambda: without_training(rows),
        "last, alone": lambda: without_training(last),
    }
    timings = in_turns(ways, options.rounds or 10, options.device)
    return Outcome(
        benchmark="timm_backbone",
        device=options.device,
        size=options.size,
        ratio_of="forward and backward pass, channels last / channels first",
        ratio=timings.ratio("last, training", "rows, training"),
        goal=None,
        figures={
            "forward and backward pass, channels first, s of CPU time": timings.median("rows, training"),
            "forward and backward pass, channels last, s of CPU time": timings.median("last, training"),
            "forward pass, channels last / channels first": timings.ratio("last, alone", "rows, alone"),
        },
        notes=(
            f"{base.backbone.timm}, {base.batch_size} images of {crop} x {crop} pixels. Training takes channels last "
            "where a network of timm has depthwise convolutions, and any pass without training does, on a CPU.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("The backbone of the recipes for photographs", ("cpu",), measure))
