"""`scaseg train-base`."""

from __future__ import annotations

from scaseg_cli.cli.options import NodeOptions, with_options


@with_options
def train_base(options: NodeOptions) -> None:
    """Stage 1: train Mask2Former on the seen classes, its queries aligned with CLIP's image token (V2C).

    This is the longest stage. If interrupted, it resumes from its last checkpoint and ends with the same weights. With
    several GPUs, processes or nodes, each takes a part of every batch.

    Reads the split, the embeddings and the training images, and selection images to measure itself. Writes into base/
    of the run folder: base.safetensors, best.safetensors, losses.csv, validation.csv and tensorboard/.

    Example: `scaseg train-base --set base.iterations=2000`

    Example: `scaseg train-base -r coco-zps --gpus 8`

    Example: `scaseg train-base -r coco-zps --gpus 8 --nodes 2 --node-rank 0 --rendezvous gpu-a:29500`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    run_stage(options, "base", pipeline.train_base)
