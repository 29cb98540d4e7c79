"""`scaseg evaluate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli.options import LauncherOption, StageOptions, with_options
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.external.score_options import ScoreOptions
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.run_dir import RunDir

_OTHERS = "Predictions in files"
_HINT = "scaseg evaluate --predictions FOLDER --annotations JSON"


class MeansOption(StrEnum):
    """Which classes a mean is over."""

    PRESENT = "present"
    ALL = "all"


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
    predictions_json: Annotated[
        Path | None,
        typer.Option(
            "--predictions-json", metavar="FILE", rich_help_panel=_OTHERS, show_default=False,
            help="The JSON of the predictions, if it is elsewhere.",
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
    only_predicted: Annotated[
        bool,
        typer.Option(
            "--only-predicted", rich_help_panel=_OTHERS,
            help="Score the images that have a prediction, as a trial. Without it, all need one.",
        ),
    ] = False,
    means: Annotated[
        MeansOption,
        typer.Option(
            "--means", rich_help_panel=_OTHERS,
            help="present: classes in neither labels nor predictions are left out, as panopticapi does. "
            "all: they count as 0, as in PADing.",
        ),
    ] = MeansOption.PRESENT,
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
        from scaseg_cli.external.score_options import ScoreOptions

        choices = ScoreOptions(predictions_json, only_predicted, means.value)
        _evaluate_predictions(options, predictions, annotations, labels, unseen, choices, per_class)
        return
    given = {
        "--annotations": annotations, "--labels": labels, "--unseen": unseen, "--predictions-json": predictions_json,
        "--only-predicted": only_predicted or None, "--means": means.value if means is MeansOption.ALL else None,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None:
            shown = name if value is True else f"{name} {value}"
            raise ScasegError(f"{shown} needs --predictions", _HINT)

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
    choices: ScoreOptions,
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
        report = score_predictions(predictions, annotations, labels, names, choices).stage_report(per_class)
    show(report, options, {})
