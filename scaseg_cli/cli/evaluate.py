"""`scaseg evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli import completion
from scaseg_cli.cli.options import LauncherOption, NodeOptions, with_options
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.external.prediction_score import PredictionScore
    from scaseg_cli.external.score_options import ScoreOptions
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.run_dir import RunDir

_OTHERS = "Predictions in files"
_HINT = "scaseg evaluate --predictions FOLDER --annotations JSON"
_MAP_HINT = "scaseg evaluate --predictions FOLDER --labels FOLDER --categories coco-stuff"


class MeansOption(StrEnum):
    """Which classes a mean is over."""

    PRESENT = "present"
    ALL = "all"


@with_options
def evaluate(
    options: NodeOptions,
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
            help="PNGs of the labels. Default: the folder with the annotation file's name, without .json. "
            "With --categories: label maps, one category id per pixel.",
        ),
    ] = None,
    categories: Annotated[
        str | None,
        typer.Option(
            "--categories", metavar="NAME|JSON", rich_help_panel=_OTHERS, show_default=False,
            help="The classes of label maps: coco-stuff, voc, ade20k, another shipped list, or a JSON file.",
        ),
    ] = None,
    ignored: Annotated[
        str | None,
        typer.Option(
            "--ignored", metavar="VALUES", rich_help_panel=_OTHERS, show_default=False,
            help="Label map values that are no class, besides 255, such as 0 or 0,254.",
        ),
    ] = None,
    colours: Annotated[
        Path | None,
        typer.Option(
            "--colours", metavar="FILE", rich_help_panel=_OTHERS, show_default=False,
            help="For maps painted in colours: a line R G B NAME for each, or a JSON list of classes with their color.",
        ),
    ] = None,
    label_suffix: Annotated[
        str | None,
        typer.Option(
            "--label-suffix", metavar="TEXT", rich_help_panel=_OTHERS, show_default=False,
            help="The end of the label maps' names that predictions lack, such as _gtFine_labelIds.png or _L.png.",
        ),
    ] = None,
    image_list: Annotated[
        Path | None,
        typer.Option(
            "--list", metavar="FILE", rich_help_panel=_OTHERS, show_default=False,
            help="A file with one image name per line, as in VOC's ImageSets: other label maps are left out.",
        ),
    ] = None,
    unseen: Annotated[
        str | None,
        typer.Option(
            "--unseen", metavar="SPLIT|FILE", rich_help_panel=_OTHERS, show_default=False,
            autocompletion=completion.splits,
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
    projectors. Several GPUs, processes or nodes divide its images. With --set evaluation.setting=inductive, it needs
    only stage 1.

    Reads the stages' results and the validation images. Writes into evaluation/ of the run folder: the tables results,
    per-class, intervals and neighbours, each as .json, .csv, .md and .tex, image-counts.npz, and examples.png, a
    picture of a few images.

    With --predictions it scores the predictions of any method and writes nothing: panoptic ones in COCO's format, or
    label maps with one category id per pixel. The labels are files, or the validation images of --recipe or --work-dir.
    Missing and broken files are all named by image, with exit code 2.

    Example: `scaseg evaluate --per-class`

    Example: `scaseg evaluate --json | python -m json.tool`

    Example: `scaseg evaluate --predictions theirs/ --annotations panoptic_val2017.json --unseen coco-zps`

    Example: `scaseg evaluate --predictions maps/ --labels labels/val2017 --categories coco-stuff --unseen coco-zss`
    """
    if predictions is not None:
        from scaseg_cli.external.score_options import ScoreOptions

        choices = ScoreOptions(predictions_json, only_predicted, means.value)
        files = _Labels(annotations, labels, categories, unseen, ignored, colours, label_suffix, image_list)
        _evaluate_predictions(options, predictions, files, choices, per_class)
        return
    given = {
        "--annotations": annotations, "--labels": labels, "--categories": categories, "--ignored": ignored,
        "--colours": colours, "--label-suffix": label_suffix, "--list": image_list,
        "--unseen": unseen, "--predictions-json": predictions_json,
        "--only-predicted": only_predicted or None, "--means": means.value if means is MeansOption.ALL else None,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None:
            shown = name if value is True else f"{name} {value}"
            raise ScasegError(f"{shown} needs --predictions", _HINT)

    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import load_own, run_stage
    from scaseg_cli.results.table import read_table

    def work(recipe: Recipe, run: RunDir) -> StageReport:
        report = pipeline.evaluate(recipe, run)
        if per_class:
            report.tables.append(read_table(run.per_class_file))
        return report

    run_stage(options, "evaluation", work, loaded=load_own)


@dataclass(frozen=True)
class _Labels:
    """The options that say what to score predictions with."""

    annotations: Path | None
    labels: Path | None
    categories: str | None
    unseen: str | None
    ignored: str | None
    colours: Path | None
    label_suffix: str | None
    image_list: Path | None

    def check(self) -> None:
        """Refuse options of label maps without `--categories`, whose maps they describe."""
        for name in ("ignored", "colours", "label_suffix", "image_list"):
            value = getattr(self, name)
            if value is not None and self.categories is None:
                option = "--list" if name == "image_list" else f"--{name.replace('_', '-')}"
                raise ScasegError(f"{option} {value} needs --categories, the classes of label maps", _MAP_HINT)


def _evaluate_predictions(
    options: NodeOptions, predictions: Path, files: _Labels, choices: ScoreOptions, per_class: bool
) -> None:
    """Score the predictions in files."""
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.cli.running import quiet, show

    if options.launcher is not LauncherOption.HERE:
        raise ScasegError(f"--predictions {predictions} cannot be scored as a job", "Leave out --launcher.")
    if (options.nodes or 1) > 1 or options.node_rank is not None or options.rendezvous is not None:
        raise ScasegError(
            f"--predictions {predictions} are scored on one machine", "Leave out --nodes, --node-rank and --rendezvous."
        )
    with stdout_as_stderr(), quiet(options.debug):
        found = _scored(options, predictions, files, choices)
    show(found.stage_report(per_class), options, {})


def _scored(options: NodeOptions, predictions: Path, files: _Labels, choices: ScoreOptions) -> PredictionScore:
    from scaseg_cli.external.evaluate_predictions import score_maps_of, score_predictions

    files.check()
    is_from_files = files.annotations is not None or files.labels is not None
    if is_from_files and options.work_dir is not None:
        raise ScasegError(
            f"--predictions {predictions} and --work-dir {options.work_dir} are two things to score",
            "Leave out --work-dir, or the labels: then they are the run's.",
        )
    if not is_from_files:
        if options.work_dir is None and options.recipe is None:
            raise ScasegError(
                f"--predictions {predictions} needs --annotations, --labels with --categories, or a run", _HINT
            )
        return _scored_with_run(options, predictions, choices)
    unseen: str | list[str] | None = files.unseen
    if unseen is None and options.recipe is not None:
        from scaseg_cli.recipe import load_recipe  # slow to import

        unseen = load_recipe(options.recipe, options.assignments).split.unseen
    if files.annotations is not None:
        if files.categories is not None:
            raise ScasegError("--annotations have their categories", "Leave out --categories.")
        return score_predictions(predictions, files.annotations, files.labels, unseen, choices)
    if files.labels is None or files.categories is None:
        raise ScasegError(f"--labels {files.labels} needs --categories, or --annotations", _MAP_HINT)
    from scaseg_cli.external.labelled_maps import MapLabels

    maps = MapLabels(
        files.labels, files.categories, _values(files.ignored), files.colours, files.label_suffix, files.image_list
    )
    return score_maps_of(predictions, maps, unseen, choices)


def _scored_with_run(options: NodeOptions, predictions: Path, choices: ScoreOptions) -> PredictionScore:
    """Score predictions of a run's validation images."""
    from scaseg_cli.cli.running import load_own
    from scaseg_cli.external.evaluate_predictions import score_set
    from scaseg_cli.split.classes import read_classes
    from scaseg_cli.split.lists import open_set

    recipe, run = load_own(options)
    classes = read_classes(run)
    labelled = open_set(recipe, run, "validation")
    return score_set(predictions, labelled, classes, classes.num_seen < len(classes), choices)


def _values(text: str | None) -> tuple[int, ...]:
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal() or int(part) > 65_535]
    if wrong:
        raise ScasegError(f"--ignored {text}: {wrong[0]!r} is not a value of a label map", "Write --ignored 0,254.")
    return tuple(map(int, parts))
