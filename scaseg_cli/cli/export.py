"""`scaseg export`."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scaseg_cli.cli.predict import SettingOption
from scaseg_cli.errors import ScasegError


class FormatOption(StrEnum):
    """What a run is exported as."""

    ONNX = "onnx"
    MMDET = "mmdet"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", show_default=False, help="The run folder of a finished run.")],
    kind: Annotated[
        FormatOption,
        typer.Option(
            "--format", "-f", show_default=False,
            help="onnx: a graph for ONNX Runtime. mmdet: checkpoint and configuration for MMDetection (panoptic runs) "
            "or MMSegmentation (semantic runs).",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", show_default=False,
            help="The folder. Default: the recipe's name and the format, in this folder.",
        ),
    ] = None,
    setting: Annotated[
        SettingOption | None,
        typer.Option(
            "--setting", show_default=False,
            help="The base model, or the fine-tuned projector. Default: the latter, if it exists.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", "-c", metavar="NAMES", show_default=False,
            help="Any names, as for predict; they are fixed in the export. Default: the run's classes.",
        ),
    ] = None,
    increment: Annotated[
        float | None,
        typer.Option(
            "--increment", metavar="NUMBER", show_default=False,
            help="Added to the logits of unseen classes, as for predict; it becomes a part of the export.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="HxW", show_default=False,
            help="Height and width of an ONNX graph's input, multiples of 32. Default: base.eval_size for both.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older export.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print only one JSON document on stdout.")] = False,
) -> None:  # fmt: skip
    """Export a finished run, with the vectors of its classes, for programs that know nothing of scaseg.

    An ONNX graph takes images of one size and gives class probabilities and mask logits of all queries; what makes
    segments out of them stays outside. onnxruntime runs the file once, and its results are compared with the network's.
    It needs two packages: `pip install 'scaseg[export]'`.

    A checkpoint of MMDetection or MMSegmentation has a configuration beside it, which the library's own functions load.

    Reads the run folder. Writes a new folder with README.md, the model card, which says how the files are used, and
    export.json, which lists the classes.

    Example: `scaseg export runs/shapes-zps --format onnx`

    Example: `scaseg export runs/coco-zps --format onnx --size 800x1088 --classes "zebra; grass"`

    Example: `scaseg export runs/shapes-zss --format mmdet -o shapes-mmseg`
    """
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.cli.running import quiet, shortened
    from scaseg_cli.packing import export as exports
    from scaseg_cli.prediction.names import parse_names
    from scaseg_cli.recipe import recipe_of
    from scaseg_cli.results.console import say_plainly
    from scaseg_cli.run_dir import RunDir

    if size is not None and kind is not FormatOption.ONNX:
        raise ScasegError(f"--size {size} is of an ONNX graph; a checkpoint takes images of any size", "Leave it out.")
    names = parse_names(classes) if classes is not None else None
    pixels = _parse_size(size) if size is not None else None
    recipe = recipe_of(run)
    folder = output if output is not None else Path(f"{recipe.name}-{kind.value}")
    wanted = exports.Wanted(setting.value if setting is not None else None, names, increment)
    with stdout_as_stderr(), quiet(False):
        if kind is FormatOption.ONNX:
            facts = exports.export_onnx(recipe, RunDir(run), folder, wanted, pixels, overwrite)
        else:
            facts = exports.export_host(recipe, RunDir(run), folder, wanted, overwrite)
    paths = [folder.absolute() / name for name in facts["files"]]
    if json:
        print_json({"folder": str(folder), **facts, "files": [str(folder / name) for name in facts["files"]]})
    for path in shortened(paths):
        say_plainly(f"wrote {path}")
    say_plainly(f"next: {exports.next_command(facts, folder, recipe)}")


def _parse_size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise ScasegError(f"--size {text} is not a size", "Write height and width in pixels: --size 800x1088")
    return int(found[1]), int(found[2])
