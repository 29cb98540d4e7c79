"""`scaseg predict`."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli.options import Options, with_options
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


class SettingOption(StrEnum):
    """The setting, and with it the model that predicts."""

    INDUCTIVE = "inductive"
    TRANSDUCTIVE = "transductive"


@with_options
def predict(
    options: Options,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            show_default=False,
            help="Image files, folders of them, quoted patterns such as 'photos/**/*.jpg', or - for a list on stdin.",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", "-m", metavar="FILE", show_default=False,
            help="A packed model, as `scaseg pack` writes it, in place of a run folder.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", "-c", metavar="NAMES", show_default=False,
            help="Any names: things, then a semicolon, then stuff. 'person|human' is one class with two names. "
            "Default: the run's classes.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the results.")
    ] = Path("predictions"),
    setting: Annotated[
        SettingOption | None,
        typer.Option(
            "--setting", show_default=False,
            help="The base model, or the fine-tuned projector. Default: the latter, if it exists.",
        ),
    ] = None,
    object_threshold: Annotated[
        float | None,
        typer.Option(
            "--object-threshold", metavar="PROBABILITY", min=0.0, max=1.0, show_default=False,
            help="Minimum class probability of a segment, for panoptic runs; higher values find fewer segments. "
            "Default: evaluation.object_threshold.",
        ),
    ] = None,
    increment: Annotated[
        float | None,
        typer.Option(
            "--increment", metavar="NUMBER", show_default=False,
            help="Added to the logits of unseen classes; higher values find more of them. results.json names the one "
            "that was best on the selection images. Default: evaluation.inductive_increment for the base model, else "
            "0.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", metavar="N", min=1, show_default=False,
            help="Images of one size that the network processes at once. Default: evaluation.batch_size.",
        ),
    ] = None,
    overlays: Annotated[
        bool, typer.Option("--overlays/--no-overlays", help="Draw a picture of the segments for each image.")
    ] = True,
    rle: Annotated[
        bool, typer.Option("--rle", help="Write masks.json too: all masks as run lengths, in COCO's format of results.")
    ] = False,
) -> None:  # fmt: skip
    """Segment any images into any classes, given by name.

    Names that are not among the run's seen classes count as unseen; the inductive model raises their logits as
    `scaseg evaluate` does. Photographs are rotated by their EXIF orientation.

    Reads the images and the run's results. Writes into FOLDER a PNG of segment ids and a picture, NAME-overlay.png, for
    each image, and predictions.json for all of them, in COCO's panoptic format. Images that cannot be read are named
    and left out; the exit code is then 2. Where nothing is found, a line says how near the model was, and which option
    shows more.

    Any number of images is read, predicted and written one after the other, in bounded memory. An interrupted command
    resumes: type it again.

    Example: `scaseg predict holiday/ --classes "zebra, street lamp; grass, sky" -o found`

    Example: `find photos -name '*.jpg' | scaseg predict - --json`
    """
    from scaseg_cli.packages import quick_imports

    with quick_imports():
        from scaseg_cli.cli.output import print_json, stdout_as_stderr
        from scaseg_cli.cli.running import load_own, quiet, show
        from scaseg_cli.prediction.names import parse_names
        from scaseg_cli.prediction.predict import predict as predict_images
        from scaseg_cli.prediction.sources import find_sources

    names = parse_names(classes) if classes is not None else None
    sources = find_sources(images, map(os.fsdecode, sys.stdin.buffer) if sys.stdin is not None else ())
    with ExitStack() as held:
        recipe, run = load_own(options) if model is None else held.enter_context(_of_file(model, options))
        held.enter_context(stdout_as_stderr())
        held.enter_context(quiet(options.debug))
        chosen = setting.value if setting is not None else None
        outcome = predict_images(
            recipe, run, sources, output, names, chosen, batch_size, object_threshold, overlays, rle, increment
        )
    if options.json:
        print_json(outcome.document)
    else:
        show(outcome.report, options, {})
    if outcome.broken is not None:
        raise outcome.broken


def _of_file(model: Path, options: Options) -> AbstractContextManager[tuple[Recipe, RunDir]]:
    """The recipe and the run folder of a packed model, as long as it is used."""
    from scaseg_cli.packing.pack import unpacked

    for name, value in (("--recipe", options.recipe), ("--work-dir", options.work_dir)):
        if value is not None:
            raise ScasegError(f"{name} {value} and --model {model} both say which model it is", f"Leave out {name}.")
    return unpacked(model, options.assignments)
