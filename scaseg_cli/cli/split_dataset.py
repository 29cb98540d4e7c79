"""`scaseg split-dataset`."""

from __future__ import annotations

from scaseg_cli.cli.options import Options, with_options


@with_options
def split_dataset(options: Options) -> None:
    """Divide the data set: seen and unseen classes, and the images that each stage may look at.

    In zero-shot panoptic segmentation no training image may hold a segment of an unseen class: such images are
    dropped. The embedded world is drawn first where the recipe asks for it.

    Reads the recipe's annotation files. Writes split/classes.json and split/images.json into the run folder, and
    data/ where the world is drawn.

    Example: `scaseg split-dataset --recipe shapes-zps`

    Example: `scaseg split-dataset --set split.unseen=names.txt`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    run_stage(options, "split", pipeline.split_dataset)
