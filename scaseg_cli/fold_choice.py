"""Reads what `scaseg choose` chose on folds of the seen classes, and puts it in the place of a recipe's auto values."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from msgspec import Meta

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_own_json

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_AGAIN = "Run `scaseg choose` with this recipe (`scaseg run` does all in order)."
Increment = Annotated[float, Meta(gt=-1e6, lt=1e6)]
Step = Annotated[int, Meta(ge=0, lt=2**31)]


class Values(TypedDict):
    """The chosen values of the keys that can be auto."""

    beta: Annotated[float, Meta(ge=0, le=1)]
    noise: Literal["none", "seen_covariance"]
    unseen_weight: Annotated[float, Meta(ge=0)] | None


class Place(TypedDict):
    """A snapshot, by its step, and the increment that is added to the unseen logits."""

    step: Step
    increment: Increment


class FoldChoice(TypedDict):
    """What was chosen: the values, and of each model a snapshot and an increment; the control may be missing."""

    values: Values
    base: Place
    method: Place
    method_increment: Place
    control: Place | None


class _File(TypedDict):
    chosen: FoldChoice


def read_fold_choice(run: RunDir) -> FoldChoice:
    """Read what was chosen on the folds.

    Raises:
        ScasegError: the file is missing, or is not what `scaseg choose` writes.
    """
    return read_own_json(run.fold_choice_file, "the choice on the folds", _File, _AGAIN)["chosen"]


def values_of(recipe: Recipe, run: RunDir) -> Values:
    """The recipe's pull, noise and unseen weight, with what was chosen in the place of each that is auto.

    Raises:
        ScasegError: one is auto, and the choice cannot be read.
    """
    beta, noise, weight = recipe.union.unseen_pull.beta, recipe.cat.noise, recipe.union.unseen_weight
    if not recipe.auto_keys:
        assert beta != "auto"
        assert noise != "auto"
        assert weight != "auto"
        return Values(beta=beta, noise=noise, unseen_weight=weight)
    chosen = read_fold_choice(run)["values"]
    given = Values(
        beta=chosen["beta"] if beta == "auto" else beta,
        noise=chosen["noise"] if noise == "auto" else noise,
        unseen_weight=chosen["unseen_weight"] if weight == "auto" else weight,
    )
    if given != chosen:
        raise ScasegError(f"{run.fold_choice_file} was made with other values than the recipe has", _AGAIN)
    return given


def tried_values(recipe: Recipe) -> list[Values]:
    """Each combination of the values that are tried; a key that is not auto has its own value alone."""
    beta, noise, weight = recipe.union.unseen_pull.beta, recipe.cat.noise, recipe.union.unseen_weight
    betas = recipe.choose.beta if beta == "auto" else [beta]
    noises = recipe.choose.noise if noise == "auto" else [noise]
    weights = recipe.choose.unseen_weight if weight == "auto" else [weight]
    combined = product(dict.fromkeys(noises), dict.fromkeys(betas), dict.fromkeys(weights))
    return [Values(beta=beta, noise=noise, unseen_weight=weight) for noise, beta, weight in combined]


def with_values(recipe: Recipe, values: Values) -> Recipe:
    """The recipe with these values in the place of its own."""
    pull = recipe.union.unseen_pull.model_copy(update={"beta": values["beta"]})
    union = recipe.union.model_copy(update={"unseen_pull": pull, "unseen_weight": values["unseen_weight"]})
    cat = recipe.cat.model_copy(update={"noise": values["noise"]})
    return recipe.model_copy(update={"union": union, "cat": cat})
