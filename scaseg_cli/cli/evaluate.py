"""`scaseg evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli.options import LauncherOption, StageOptions, with_options
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.run_dir import RunDir

_OTHERS = "Predictions of others"
_HINT = "scaseg evaluate --predictions FOLDER --annotations JSON"


@with_options
def evaluate(
    options: StageOptions,
    per_class: Annotated[bool, typer.Option("--per-class", help="Show the table by class too.")] = False,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", metavar="FOLDER", rich_help_panel=_OTHERS, show_default=False,
            help="Score these instead of a run: panoptic PNGs, with FOLDER.json beside or one JSON in it.",
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations", metavar="JSON", rich_help_panel=_OTHERS, show_default=False,
            help="The labels of the same images, in COCO's panoptic format.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FOLDER", rich_help_panel=_OTHERS, show_default=False,
            help="The labels' PNGs. Without it: the folder named as the annotation file, less .json.",
        ),
    ] = None,
    unseen: Annotated[
        str | None,
        typer.Option(
            "--unseen", metavar="SPLIT|FILE", rich_help_panel=_OTHERS, show_default=False,
            help="A known split such as coco-zps, or a file of names. Without it: --recipe's, else all count as seen.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Measure the validation images: over seen and unseen classes, and the harmonic mean of both.

    Panoptic quality for task zps; mean IoU, accuracy and pixel accuracy for task zss.

    One pass of the network scores the base model, with and without its increment, the controls and the fine-tuned
    projectors. With --set evaluation.setting=inductive only stage 1 is needed.

    Reads the stages' results and the validation images. Writes evaluation/results and evaluation/per-class, each as
    .json, .csv and .md, and evaluation/examples.png, a picture of a few images, into the run folder.

    Example: `scaseg evaluate --per-class`

    With --predictions it scores what anyone predicted, in COCO's panoptic format, and writes nothing. Predictions that
    are missing or broken are named by image, all at once, with exit code 2.

    Example: `scaseg evaluate --json | python -m json.tool`

    Example: `scaseg evaluate --predictions theirs/ --annotations panoptic_val2017.json --unseen coco-zps`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage
    from scaseg_cli.results.table import read_table

    if predictions is not None:
        _evaluate_predictions(options, predictions, annotations, labels, unseen, per_class)
        return
    for name, value in (("--annotations", annotations), ("--labels", labels), ("--unseen", unseen)):
        if value is not None:
            raise ScasegError(f"{name} {value} says what to compare predictions with, and there are none", _HINT)

    def work(recipe: Recipe, run: RunDir) -> StageReport:
        report = pipeline.evaluate(recipe, run)
        if per_class:
            report.tables.append(read_table(run.per_class_file))
        return report

    run_stage(options, "evaluation", work)


def _evaluate_predictions(
    options: StageOptions,
    predictions: Path,
    annotations: Path | None,
    labels: Path | None,
    unseen: str | None,
    per_class: bool,
) -> None:
    """Score predictions in files."""
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.cli.running import quiet, show
    from scaseg_cli.external.evaluate_predictions import evaluate_predictions
    from scaseg_cli.recipe import load_recipe

    if annotations is None:
        raise ScasegError(f"--predictions {predictions} has nothing to be compared with", _HINT)
    if options.work_dir is not None:
        raise ScasegError(
            f"--predictions {predictions} and --work-dir {options.work_dir} are two things to score", "Leave one out."
        )
    if options.launcher is not LauncherOption.HERE:
        raise ScasegError(f"--predictions {predictions} is scored here", "Leave --launcher out.")
    names: str | list[str] | None = unseen
    if unseen is None and options.recipe is not None:
        names = load_recipe(options.recipe, options.assignments).split.unseen
    with stdout_as_stderr(), quiet(options.debug):
        report = evaluate_predictions(predictions, annotations, labels, names, per_class)
    show(report, options, {})
