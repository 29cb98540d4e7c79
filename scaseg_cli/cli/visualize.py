"""`scaseg visualize`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli.options import Options, with_options
from scaseg_cli.cli.predict import SettingOption
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.evaluation.candidates import Candidate
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.visualization.choice import Choice, Rank

_WHICH, _PEER, _OUTPUT = "Which images", "Baseline", "Output"
_PEERS = "peers:"  # before the name of a row of `scaseg peers`
_MOST = 100  # rows, since all are in memory


class Only(StrEnum):
    """The classes to which a grid can be restricted."""

    UNSEEN = "unseen"


@with_options
def visualize(
    options: Options,
    ids: Annotated[
        str | None,
        typer.Option(
            "--ids", metavar="ID,ID,...", rich_help_panel=_WHICH, show_default=False,
            help="Validation images by image id, in this order.",
        ),
    ] = None,
    worst: Annotated[
        bool, typer.Option("--worst", rich_help_panel=_WHICH, help="The images where ours has the lowest score.")
    ] = False,
    best: Annotated[
        bool, typer.Option("--best", rich_help_panel=_WHICH, help="The images where ours has the highest score.")
    ] = False,
    number: Annotated[
        int | None,
        typer.Option(
            "--number", "-n", metavar="N", min=1, max=_MOST, rich_help_panel=_WHICH, show_default=False,
            help="Maximum number of images. Default: 6.",
        ),
    ] = None,
    only: Annotated[
        Only | None,
        typer.Option(
            "--only", rich_help_panel=_WHICH, show_default=False,
            help="Show and score only segments of unseen classes, in images that contain one.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline", metavar="FOLDER", rich_help_panel=_PEER, show_default=False,
            help="Predictions of another method: panoptic PNGs with their JSON or, for task zss, label maps; or "
            "peers:NAME, a row of `scaseg peers`. Default: our base model.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="TEXT", rich_help_panel=_PEER, show_default=False,
            help="The title of the baseline's column. Default: the folder's name.",
        ),
    ] = None,
    setting: Annotated[
        SettingOption | None,
        typer.Option(
            "--setting", show_default=False,
            help="Model shown as ours: the base model, or the fine-tuned projector. Default: the latter, if it exists.",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output", "-o", metavar="FILE", rich_help_panel=_OUTPUT, show_default=False,
            help="A .png or .pdf file; can be repeated. Default: one of each in visualization/ of the run folder.",
        ),
    ] = None,
    cell: Annotated[
        int,
        typer.Option(
            "--cell", metavar="PIXELS", min=64, max=2048, rich_help_panel=_OUTPUT,
            help="Longer side of each picture.",
        ),
    ] = 512,
) -> None:  # fmt: skip
    """Draw validation images in a grid: image, label, a baseline's prediction, and ours.

    Unseen classes are outlined in white, wrong segments are marked with a cross, and a legend names all classes. By
    default the unseen classes take turns, each with its first image by image id, so that none is chosen by its
    result.

    --worst and --best rank images by the score of our prediction: the mean panoptic quality (task zps) or IoU (zss)
    over the classes in the label or the prediction; with --only unseen, over unseen classes. Ranking needs one pass
    over the validation images.

    The default baseline is the base model with its increment, as in the row *inductive* of `scaseg evaluate`. If that
    is ours, since nothing is fine-tuned yet, the baseline is the base model without an increment.

    Reads the validation images, the stages' results and the baseline's predictions. Writes the grid as a PNG, or as a
    PDF with at most 8 rows per page.

    Example: `scaseg visualize --worst --only unseen`

    Example: `scaseg visualize --ids 2000007,2000038 --baseline theirs/ --name "Their method" -o figure.pdf`
    """
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.cli.running import load_own, quiet, show
    from scaseg_cli.visualization.visualize import visualize as draw_grid

    recipe, run = load_own(options)
    choice = _choice(ids, worst, best, number, only)
    with stdout_as_stderr(), quiet(options.debug):
        chosen = setting.value if setting is not None else None
        other, title = _baseline(recipe, run, baseline, name)
        report = draw_grid(recipe, run, choice, output or [], other, title, chosen, cell)
    show(report, options, {})


def _baseline(
    recipe: Recipe, run: RunDir, baseline: Path | None, name: str | None
) -> tuple[Path | Candidate | None, str | None]:
    """The baseline, a folder or a row of `scaseg peers`, and its title."""
    text = str(baseline) if baseline is not None else ""
    if not text.startswith(_PEERS):
        return baseline, name
    from scaseg_cli.peers.peers import peer_candidate

    title, candidate = peer_candidate(recipe, run, text.removeprefix(_PEERS))
    return candidate, name or title


def _choice(ids: str | None, worst: bool, best: bool, number: int | None, only: Only | None) -> Choice:
    """The images that the options choose.

    Raises:
        ScasegError: two options exclude each other, or ``ids`` are none or too many.
    """
    from scaseg_cli.visualization.choice import NUM_IMAGES, Choice

    asked = [name for name, given in (("--ids", ids is not None), ("--worst", worst), ("--best", best)) if given]
    if len(asked) > 1:
        raise ScasegError(f"{' and '.join(asked)} each say which images", "Use only one of them.")
    if ids is not None and number is not None:
        raise ScasegError(f"--ids {ids} and --number {number} both say how many images", "Leave out --number.")
    rank: Rank | None = "worst" if worst else "best" if best else None
    return Choice(_image_ids(ids) if ids is not None else None, rank, number or NUM_IMAGES, only is not None)


def _image_ids(text: str) -> tuple[int | str, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ScasegError(f"--ids {text!r} has no image id", "Separate image ids by commas: --ids 139,285")
    if len(words) > _MOST:
        raise ScasegError(f"--ids names {len(words)} images, and a grid has at most {_MOST}", "Draw several grids.")
    return tuple(int(word) if word.isascii() and word.isdigit() and str(int(word)) != word else word for word in words)
