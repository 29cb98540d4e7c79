"""The trials on one fold: the generator and the fine-tuning with each combination of the values that are tried.

    RUN/choose/fold-0/cat-0123456789abcdef/     a generator, in a run folder with links to the fold's stages
    RUN/choose/fold-0/union-fedcba9876543210/   a fine-tuning, with links to its generator as well

Folders have the keys of their stages, so a killed command finds what it has finished. All fine-tunings of a fold are
scored in one pass of its network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaseg_cli import fold_choice
from scaseg_cli.cat.train import train_generator
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.choices_file import ChosenFigure, read_choices
from scaseg_cli.folds.train import MADE
from scaseg_cli.queries.collect import live_batches
from scaseg_cli.results.console import say
from scaseg_cli.run_dir import RunDir
from scaseg_cli.shared_stages import link_folder
from scaseg_cli.stages import is_done, recipe_key
from scaseg_cli.union.finetune import union_finetune_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.evaluation.shared_pass import ReportOrError
    from scaseg_cli.fold_choice import Values
    from scaseg_cli.recipe.schema import Recipe

_DIGITS = 16  # of a key, in a folder's name


def try_all(
    recipe: Recipe, fold: RunDir, folder: Path, tried: Sequence[Values], has_control: bool
) -> list[list[ChosenFigure]]:
    """Fine-tune with each of ``tried`` on one fold.

    The control takes none of the values, so it is fine-tuned with the first of them alone.

    Args:
        recipe: the fold's.
        fold: its run folder.
        folder: the folder of its trials.
        tried: combinations of values.
        has_control: whether the control is fine-tuned.

    Returns:
        For each combination, every figure on the fold's images.

    Raises:
        ScasegError: a training failed.
    """
    cells = [_cell(recipe, fold, folder, values, has_control and place == 0) for place, values in enumerate(tried)]
    for own, run in cells:
        generator = _folder(own, folder, "cat")
        _link(fold, generator, MADE)
        if not is_done(own, generator, "cat"):
            train_generator(own, generator, live_batches(own, generator) if own.cat.live else None)
        _link(generator, run, ("cat",))
    waiting = [(own, run) for own, run in cells if not is_done(own, run, "union")]
    if waiting:
        say(f"{len(waiting)} of {len(cells)} fine-tunings")
        for outcome in union_finetune_all(waiting):
            _check(outcome)
    return [read_choices(run)["figures"] for _, run in cells]


def _cell(recipe: Recipe, fold: RunDir, folder: Path, values: Values, has_control: bool) -> tuple[Recipe, RunDir]:
    own = fold_choice.with_values(recipe, values)
    own = own.model_copy(update={"union": own.union.model_copy(update={"control": has_control})})
    run = _folder(own, folder, "union")
    _link(fold, run, MADE)
    return own, run


def _folder(recipe: Recipe, folder: Path, stage: str) -> RunDir:
    return RunDir(folder / f"{stage}-{recipe_key(recipe, stage)[:_DIGITS]}")


def _link(source: RunDir, run: RunDir, stages: Sequence[str]) -> None:
    data = ("data",) if (source.path / "data").exists() else ()
    for stage in (*data, *stages):
        link_folder(run.path / stage, source.path / stage)


def _check(outcome: ReportOrError) -> None:
    if isinstance(outcome, ScasegError):
        raise ScasegError(f"on a fold, {outcome.message}", outcome.hint)
    if isinstance(outcome, Exception):
        raise outcome
