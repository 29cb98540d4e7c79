"""What the folds cost, estimated from the records of the run's own stages before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.fold_choice import tried_values
from scaseg_cli.results.console import in_words

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


class Cost(NamedTuple):
    """The number of trainings, and the estimated seconds of both stages; None: the run has no record to go by."""

    bases: int
    generators: int
    fine_tunings: int
    folds: float | None
    choose: float | None

    @property
    def seconds(self) -> float | None:
        """The seconds of both stages."""
        return self.folds + self.choose if self.folds is not None and self.choose is not None else None


def cost_of(recipe: Recipe, run: RunDir) -> Cost:
    """Estimate what the recipe's folds cost.

    A fold's stages take as long as the run's own, if those have the recipe's number of iterations. A fold's images are
    fewer, so the estimate is high.
    """
    tried, number = tried_values(recipe), recipe.folds.number
    noises = len({values["noise"] for values in tried})
    base, queries = _seconds(recipe, run, "base"), _seconds(recipe, run, "queries")
    cat, union = _seconds(recipe, run, "cat"), _seconds(recipe, run, "union")
    folds = number * (base + queries) if base is not None and queries is not None else None
    choose = number * (noises * cat + len(tried) * union) if cat is not None and union is not None else None
    return Cost(number, number * noises, number * len(tried), folds, choose)


def cost_in_words(recipe: Recipe, run: RunDir) -> str:
    """The cost in a line."""
    cost = cost_of(recipe, run)
    words = (
        f"{cost.bases} base trainings, {cost.generators} generators and {cost.fine_tunings} fine-tunings on seen "
        "classes alone"
    )
    if cost.folds is None:
        return f"{words}; how long they take shows once this run has trained its own base"
    if cost.choose is None:
        return f"{words}; about {in_words(cost.folds)} for the base trainings, by this run's own"
    return f"{words}; at most about {in_words(cost.folds + cost.choose)}, by this run's own stages"


def _seconds(recipe: Recipe, run: RunDir, stage: str) -> float | None:
    """The seconds that a stage of the run took, scaled to the recipe's number of iterations."""
    record = run.record(stage)
    if record is None:
        return None
    then = record.get("recipe", {}).get(stage, {}).get("iterations")
    now = getattr(getattr(recipe, stage), "iterations", None)
    seconds = float(record["seconds"])
    return seconds * now / then if type(then) is int and then > 0 and now is not None else seconds
