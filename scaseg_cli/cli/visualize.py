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
    from scaseg_cli.visualization.choice import Choice, Rank

_WHICH, _PEER, _OUTPUT = "Which images", "Baseline", "Output"
_MOST = 100  # rows, which are all in memory


class Only(StrEnum):
    """Classes to which a grid can be restricted."""

    UNSEEN = "unseen"


@with_options
def visualize(
    options: Options,
    ids: Annotated[
        str | None,
        typer.Option(
            "--ids", metavar="ID,ID,...", rich_help_panel=_WHICH, show_default=False,
            help="These validation images, by image id, in this order.",
        ),
    ] = None,
    worst: Annotated[
        bool, typer.Option("--worst", rich_help_panel=_WHICH, help="Those where ours has the lowest score; see above.")
    ] = False,
    best: Annotated[
        bool, typer.Option("--best", rich_help_panel=_WHICH, help="Those where ours has the highest score.")
    ] = False,
    number: Annotated[
        int | None,
        typer.Option(
            "--number", "-n", metavar="N", min=1, max=_MOST, rich_help_panel=_WHICH, show_default=False,
            help="How many images, at most. Without it: 6.",
        ),
    ] = None,
    only: Annotated[
        Only | None,
        typer.Option(
            "--only", rich_help_panel=_WHICH, show_default=False,
            help="Show and score segments of unseen classes alone, in images that hold one.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline", metavar="FOLDER", rich_help_panel=_PEER, show_default=False,
            help="A peer's predictions: panoptic PNGs with their JSON or, for task zss, label maps. "
            "Without it: our own base model.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="TEXT", rich_help_panel=_PEER, show_default=False,
            help="The title of the baseline's column. Without it: the folder's name.",
        ),
    ] = None,
    setting: Annotated[
        SettingOption | None,
        typer.Option(
            "--setting", show_default=False,
            help="What is shown as ours: the base model, or the fine-tuned projector. Without it: the latter where it "
            "is there.",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output", "-o", metavar="FILE", rich_help_panel=_OUTPUT, show_default=False,
            help="A .png or a .pdf; may be given again. Without it: one of each in visualization/ of the run folder.",
        ),
    ] = None,
    cell: Annotated[
        int,
        typer.Option(
            "--cell", metavar="PIXELS", min=64, max=2048, rich_help_panel=_OUTPUT,
            help="The longer side of each picture.",
        ),
    ] = 512,
) -> None:  # fmt: skip
    """Show validation images in a grid: input, label, a baseline's prediction, and ours.

    Unseen classes are outlined in white, wrong segments marked with a cross, and a legend names all classes. Without
    an option the first images by image id that hold an unseen class are shown, so that nothing is picked by how well it
    turned out.

    The score of a prediction in one image, by which --worst and --best rank ours, is the mean over the classes that
    the label or the prediction holds of panoptic quality (task zps) or of IoU (zss); with --only unseen over unseen
    classes. Ranking takes one pass over the validation images.

    The baseline is the base model with its increment, as in the row *inductive* of `scaseg evaluate`. Where that is
    ours, since nothing is fine-tuned yet, it is the base model without an increment.

    Reads the validation images, the stages' results and a peer's predictions. Writes the grid: one PNG, or a PDF of at
    most 8 rows a page.

    Example: `scaseg visualize --worst --only unseen`

    Example: `scaseg visualize --ids 2000007,2000038 --baseline theirs/ --name "Their method" -o figure.pdf`
    """
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.cli.running import load, quiet, show
    from scaseg_cli.visualization.visualize import visualize as draw_grid

    recipe, run = load(options)
    choice = _choice(ids, worst, best, number, only)
    with stdout_as_stderr(), quiet(options.debug):
        chosen = setting.value if setting is not None else None
        report = draw_grid(recipe, run, choice, output or [], baseline, name, chosen, cell)
    show(report, options, {})


def _choice(ids: str | None, worst: bool, best: bool, number: int | None, only: Only | None) -> Choice:
    """Which images are meant.

    Raises:
        ScasegError: two options exclude each other, or ``ids`` are no numbers or too many.
    """
    from scaseg_cli.visualization.choice import NUM_IMAGES, Choice

    asked = [name for name, given in (("--ids", ids is not None), ("--worst", worst), ("--best", best)) if given]
    if len(asked) > 1:
        raise ScasegError(f"{' and '.join(asked)} each say which images", "Give one of them.")
    if ids is not None and number is not None:
        raise ScasegError(f"--ids {ids} says how many images, and so does --number {number}", "Leave --number out.")
    rank: Rank | None = "worst" if worst else "best" if best else None
    return Choice(_image_ids(ids) if ids is not None else None, rank, number or NUM_IMAGES, only is not None)


def _image_ids(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in words if not (word.isascii() and word.isdigit())]
    if wrong or not words:
        what = f"{wrong[0]!r}, which is no whole number" if wrong else "no image id"
        raise ScasegError(f"--ids {text!r} has {what}", "Image ids are divided by commas: --ids 139,285")
    if len(words) > _MOST:
        raise ScasegError(f"--ids names {len(words)} images, and a grid has {_MOST} at most", "Make several grids.")
    return tuple(map(int, words))
