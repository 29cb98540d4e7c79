"""`scaseg train-cat`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from scaseg_cli.cli.options import NodeOptions, with_options


@with_options
def train_cat(
    options: NodeOptions,
    live: Annotated[
        bool,
        typer.Option("--live", help="Run the segmentor at every step, as published. The same as --set cat.live=true."),
    ] = False,
) -> None:
    """Stage 2 (CAT): train the generator of query embeddings for unseen classes.

    One pass of the frozen base model over the training images stores the query embeddings, on which the generator is
    then trained. The pass is skipped if its file is up to date. Several GPUs, processes or nodes divide its images.

    Reads the base model, the embeddings and the training images. Writes queries/queries.safetensors and
    cat/generator.safetensors into the run folder.

    Example: `scaseg train-cat --set cat.tau_r=0.1`

    Example: `scaseg train-cat --live`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    if live:
        options = dataclasses.replace(options, changes=(*options.changes, "cat.live=true"))
    run_stage(options, "queries", pipeline.train_cat)
