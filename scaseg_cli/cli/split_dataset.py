"""`scaseg split-dataset`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from scaseg_cli.cli.options import StageOptions, with_options
from scaseg_cli.errors import ScasegError


@with_options
def split_dataset(
    options: StageOptions,
    check_png: Annotated[
        str | None,
        typer.Option(
            "--check-png", metavar="N|all", show_default=False,
            help="Panoptic PNGs of each list to read and compare with the annotations; 0: none. Default: 100.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Split the dataset into seen and unseen classes, and choose the images of each stage.

    In zero-shot panoptic segmentation, training images with a segment of an unseen class are dropped. In zero-shot
    semantic segmentation they are kept, and their unseen pixels are ignored; all label maps are read. The embedded
    world is drawn first if the recipe uses it. The headers of all images and labels are checked. Labels and images that
    take no part are counted, and listed with --json.

    Reads the recipe's annotation files or label maps. Writes split/classes.json and split/images.json into the run
    folder, an index of label maps beside them, and data/ if the world is drawn.

    Example: `scaseg split-dataset --recipe shapes-zps`

    Example: `scaseg split-dataset --set split.unseen=names.txt`

    Example: `scaseg split-dataset --recipe coco-zps --check-png all`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    work = pipeline.split_dataset
    if check_png is not None:
        work = partial(work, check_png=_number(check_png))
    run_stage(options, "split", work)


def _number(check_png: str) -> int | None:
    """The number of PNGs; None for all."""
    if check_png == "all":
        return None
    if not (check_png.isascii() and check_png.isdigit()):
        raise ScasegError(f"--check-png {check_png!r} is neither a number nor all", "For example --check-png 1000")
    return int(check_png)
