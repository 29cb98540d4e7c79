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

_OTHERS = "Predictions in files"
_HINT = "scaseg evaluate --predictions FOLDER --annotations JSON"


@with_options
def evaluate(
    options: StageOptions,
    per_class: Annotated[bool, typer.Option("--per-class", help="Show the per-class table too.")] = False,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", metavar="FOLDER", rich_help_panel=_OTHERS, show_default=False,
            help="Score these instead of a run: panoptic PNGs, with FOLDER.json beside it or one JSON in it.",
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations", metavar="JSON", rich_help_panel=_OTHERS, show_default=False,
            help="Labels of the same images, in COCO's panoptic format.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FOLDER", rich_help_panel=_OTHERS, show_default=False,
            help="PNGs of the labels. Default: the folder with the annotation file's name, without .json.",
        ),
    ] = None,
    unseen: Annotated[
        str | None,
        typer.Option(
            "--unseen", metavar="SPLIT|FILE", rich_help_panel=_OTHERS, show_default=False,
            help="A known split such as coco-zps, or a file of names. Default: --recipe's, else all count as seen.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Evaluate on the validation images, over seen and unseen classes, with their harmonic mean.

    The measures are panoptic quality for task zps, and mean IoU, accuracy and pixel accuracy for task zss.

    One pass of the network scores the base model with and without its increment, the controls and the fine-tuned
    projectors. With --set evaluation.setting=inductive, only stage 1 is needed.

    Reads the stages' results and the validation images. Writes evaluation/results and evaluation/per-class, each as
    .json, .csv and .md, and evaluation/examples.png, a picture of a few images, into the run folder.

    With --predictions it scores the predictions of any method, in COCO's panoptic format, and writes nothing. Missing
    and broken predictions are all named by image, with exit code 2.

    Example: `scaseg evaluate --per-class`

    Example: `scaseg evaluate --json | python -m json.tool`

    Example: `scaseg evaluate --predictions theirs/ --annotations panoptic_val2017.json --unseen coco-zps`
    """
    if predictions is not None:
        _evaluate_predictions(options, predictions, annotations, labels, unseen, per_class)
        return
    for name, value in (("--annotations", annotations), ("--labels", labels), ("--unseen", unseen)):
        if value is not None:
            raise ScasegError(f"{name} {value} needs --predictions", _HINT)

    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage
    from scaseg_cli.results.table import read_table

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
    """Score the predictions in files."""
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.cli.running import quiet, show
    from scaseg_cli.external.evaluate_predictions import score_predictions

    if annotations is None:
        raise ScasegError(f"--predictions {predictions} needs --annotations", _HINT)
    if options.work_dir is not None:
        raise ScasegError(
            f"--predictions {predictions} and --work-dir {options.work_dir} are two things to score",
            "Leave out one of them.",
        )
    if options.launcher is not LauncherOption.HERE:
        raise ScasegError(f"--predictions {predictions} cannot be scored as a job", "Leave out --launcher.")
    names: str | list[str] | None = unseen
    if unseen is None and options.recipe is not None:
        from scaseg_cli.recipe import load_recipe  # slow to import

        names = load_recipe(options.recipe, options.assignments).split.unseen
    with stdout_as_stderr(), quiet(options.debug):
        report = score_predictions(predictions, annotations, labels, names).stage_report(per_class)
    show(report, options, {})
