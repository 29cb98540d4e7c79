"""Reads the snapshot and increments that union-finetune chose, from `RunDir.choices_file`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from scaseg_cli.files import read_own_json

if TYPE_CHECKING:
    from scaseg_cli.run_dir import RunDir

Fraction = Annotated[float, Meta(ge=0, le=1)]


class ChosenFigure(TypedDict):
    """The task's main measure of one candidate on the selection images, as fractions; None if it is not defined."""

    model: Literal["base", "method", "control"]
    step: Annotated[int, Meta(ge=0, lt=2**31)]
    increment: Annotated[float, Meta(gt=-1e6, lt=1e6)]
    seen: Fraction | None
    unseen: Fraction | None
    harmonic: Fraction | None


class Chosen(TypedDict):
    """The best figure of each model; the control is None if there is no control."""

    base: ChosenFigure
    method: ChosenFigure
    method_increment: ChosenFigure
    control: ChosenFigure | None


class ChoicesFile(TypedDict):
    """The contents of the file that readers use; ``figures`` are all that were compared."""

    measure: Literal["pq", "iou"]
    chosen_on: NotRequired[Literal["unseen_labels", "seen_folds", "nothing"]]  # older files lack it: unseen_labels
    chosen: Chosen
    figures: list[ChosenFigure]


def read_choices(run: RunDir) -> ChoicesFile:
    """Read the choices of the run's fine-tuning.

    Raises:
        ScasegError: the file is missing, or is not what union-finetune writes.
    """
    again = "Run `scaseg union-finetune` with this recipe (`scaseg run` does all in order)."
    return read_own_json(run.choices_file, "the choices of union-finetune", ChoicesFile, again)
