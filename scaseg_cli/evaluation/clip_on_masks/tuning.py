"""CLIP's exponents for each row of the result table, chosen on the selection images (``clip_weights: tuned``)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypedDict

from msgspec import Meta

from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.clip_on_masks.use import ClipUse, view_of
from scaseg_cli.evaluation.score import score
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.files import read_own_json, write_json
from scaseg_cli.measures.result_table import CLIP_ALONE, CLIP_MAIN
from scaseg_cli.stages import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.evaluation.rows import ScoredRow, Weights
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.tasks import Setting

STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried for seen and for unseen classes, 36 pairs
_Exponent = Annotated[float, Meta(ge=0, le=1)]


class _Chosen(TypedDict):
    """The best pair of a row, with its harmonic mean on the selection images."""

    seen: _Exponent
    unseen: _Exponent
    selection: float


class _WeightsFile(TypedDict):
    chosen: dict[str, _Chosen]


def tune_weights(recipe: Recipe, run: RunDir, rows: Sequence[ScoredRow]) -> dict[str, Weights]:
    """Choose the exponents of each row that joins CLIP and a classifier, and write them to the run folder.

    The pair with the best harmonic mean is chosen; of equal ones, that with the least of CLIP.

    Args:
        recipe: the recipe.
        run: the run folder.
        rows: the rows of the result table; those with CLIP on masks and a classifier are tuned.

    Raises:
        ScasegError: an image cannot be read.
    """
    tried = {
        f"{row.name} {seen} {unseen}": (row, seen, unseen)
        for row in rows
        if row.image_tower and row.name != CLIP_ALONE
        for seen in STEPS
        for unseen in STEPS
    }
    candidates = [
        replace(row.candidate, name=name, clip=ClipUse(row.candidate.clip.view, seen, unseen))
        for name, (row, seen, unseen) in tried.items()
        if row.candidate.clip is not None
    ]
    (scores,) = score(ScoredSet(recipe, run, "selection"), [(recipe, candidates)])
    chosen: dict[str, _Chosen] = {}
    for name, (row, seen, unseen) in tried.items():
        found = scores.summaries[name].harmonic
        if row.name not in chosen or found > chosen[row.name]["selection"]:
            chosen[row.name] = _Chosen(seen=seen, unseen=unseen, selection=found)
    write_json(run.clip_weights_file, _WeightsFile(chosen=chosen))
    return {name: (one["seen"], one["unseen"]) for name, one in chosen.items()}


def read_weights(run: RunDir) -> dict[str, Weights]:
    """Read what `tune_weights` wrote.

    Raises:
        ScasegError: the file is missing or damaged.
    """
    again = "Run `scaseg evaluate` with this recipe (`scaseg run` does all in order)."
    found = read_own_json(run.clip_weights_file, "the weights of CLIP on masks", _WeightsFile, again)
    return {name: (one["seen"], one["unseen"]) for name, one in found["chosen"].items()}


def use_in(recipe: Recipe, run: RunDir, setting: Setting) -> ClipUse | None:
    """How the model of a setting uses CLIP on masks; None if the recipe has it off.

    Raises:
        ScasegError: the weights are tuned, and the evaluation of this recipe has not run.
    """
    view = view_of(recipe.evaluation)
    if view is None:
        return None
    if recipe.evaluation.clip_weights == "fixed":
        return ClipUse(view, recipe.evaluation.clip_seen_weight, recipe.evaluation.clip_unseen_weight)
    if run.sealed:
        raise ScasegError(
            "a packed model does not hold the tuned weights of CLIP on masks",
            "Give the weights: --set evaluation.clip_weights=fixed --set evaluation.clip_unseen_weight=...",
        )
    require(recipe, run, "evaluation")
    return ClipUse(view, *read_weights(run)["clip-base" if setting == "inductive" else CLIP_MAIN])
