"""`scaseg split-dataset`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from scaseg_cli.cli.options import StageOptions, with_options


@with_options
def split_dataset(
    options: StageOptions,
    check_png: Annotated[
        int | None,
        typer.Option(
            "--check-png", metavar="N", min=0, show_default=False,
            help="Panoptic PNGs of each list to compare with the annotations; 0: none. Default: 20.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Split the dataset into seen and unseen classes, and choose the images of each stage.

    In zero-shot panoptic segmentation, training images with a segment of an unseen class are dropped. In zero-shot
    semantic segmentation they are kept, and their unseen pixels are ignored; all label maps are read. The embedded
    world is drawn first if the recipe uses it.

    Reads the recipe's annotation files or label maps. Writes split/classes.json and split/images.json into the run
    folder, an index of label maps beside them, and data/ if the world is drawn.

    Example: `scaseg split-dataset --recipe shapes-zps`

    Example: `scaseg split-dataset --set split.unseen=names.txt`

    Example: `scaseg split-dataset --recipe coco-zps --check-png 1000`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    run_stage(options, "split", partial(pipeline.split_dataset, check_png=check_png))
