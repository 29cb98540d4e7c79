"""`scaseg evaluate`."""

from __future__ import annotations

from scaseg_cli.cli.options import Options, with_options


@with_options
def evaluate(options: Options) -> None:
    """Measure panoptic quality on the validation images: over seen and unseen classes, and their harmonic mean.

    One pass of the network scores the base model, with and without its increment, the controls and the fine-tuned
    projectors. With --set evaluation.setting=inductive only stage 1 is needed.

    Reads the stages' results and the validation images. Writes evaluation/results and evaluation/per-class, each as
    .json, .csv and .md, and evaluation/examples.png, a picture of a few images, into the run folder.

    Example: `scaseg evaluate`

    Example: `scaseg evaluate --json | python -m json.tool`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    run_stage(options, "evaluation", pipeline.evaluate)
