"""The stage "choose": the means over the folds, and what is best by them.

The values are those whose fine-tuning has the best snapshot without an increment, as the transductive setting is
published. Of a model's snapshots, the latest counts that the folds do not tell from the best: training to the end is
what is published. A harmonic mean that is not defined on a fold, which shows no class of one kind, is left out of its
mean.
"""

from __future__ import annotations

import math
import shutil
from collections import defaultdict
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from scaseg_cli.choose.trials import try_all
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_json
from scaseg_cli.fold_choice import FoldChoice, Place, Values, tried_values
from scaseg_cli.folds.train import open_folds
from scaseg_cli.measures.measure import TITLES
from scaseg_cli.results.console import say
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table, paths_of, write
from scaseg_cli.stages import recording
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaseg_cli.evaluation.choices_file import ChosenFigure
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


@dataclass(frozen=True)
class FoldMean:
    """A candidate's harmonic mean on the folds' images.

    Attributes:
        values: the place of the values in the list of those tried.
        model: base, method or control.
        step: fine-tuning steps.
        increment: added to the logits of held-out classes.
        harmonic: the mean over the folds; NaN if it is defined on none.
        by_fold: on each fold.
    """

    values: int
    model: str
    step: int
    increment: float
    harmonic: float
    by_fold: tuple[float, ...]


def choose_on_folds(recipe: Recipe, run: RunDir) -> StageReport:
    """Fine-tune with every combination of values on every fold, and choose by the mean over the folds.

    Raises:
        ScasegError: the folds are missing, a training failed, or nothing can be chosen on their images.
    """
    folds, tried = open_folds(recipe, run), tried_values(recipe)
    folder = run.fold_choice_file.parent
    outputs = [run.fold_choice_file, *paths_of(folder, run.fold_table_file.stem)]
    with recording(recipe, run, "choose", *outputs) as summary:
        figures = []
        for number, (own, fold) in enumerate(folds):
            say(f"choose: fold {number + 1} of {len(folds)}")
            figures.append(try_all(own, fold, run.fold("choose", number), tried, recipe.union.control))
        means = fold_means(figures)
        chosen = best_of(means, tried)
        table = _table(recipe, means, tried, chosen)
        write(table, folder, run.fold_table_file.stem)
        write_json(run.fold_choice_file, _as_json_value(recipe, chosen, means, tried))
        summary |= {"values": chosen["values"], "trials": len(tried), "folds": len(folds)}
    for path in folder.glob("fold-*"):
        shutil.rmtree(path, ignore_errors=True)
    return StageReport("choose", [table], outputs, None, dict(summary))


def fold_means(figures: Sequence[Sequence[Sequence[ChosenFigure]]]) -> list[FoldMean]:
    """Take the mean over the folds of each candidate.

    Args:
        figures: of each fold, of each combination of values, the figures that were compared.
    """
    found: dict[tuple[int, str, int, float], list[float]] = defaultdict(list)
    for of_fold in figures:
        for place, of_values in enumerate(of_fold):
            for figure in of_values:
                harmonic = figure["harmonic"]
                key = (place, figure["model"], figure["step"], figure["increment"])
                found[key].append(harmonic if harmonic is not None else math.nan)
    return [FoldMean(*key, _mean(values), tuple(values)) for key, values in found.items()]


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return mean(known) if known else math.nan


def best_of(means: Sequence[FoldMean], tried: Sequence[Values]) -> FoldChoice:
    """Choose the values, and for each model its snapshot and increment.

    Ties go to the values that come first, then to fewer steps, then to the smaller increment. The snapshot is then the
    latest within one standard error of the best one, over the folds' paired differences: the rule of one standard
    error (Breiman et al., Classification and Regression Trees, 1984). With one fold it is the best one.

    Args:
        means: of all candidates.
        tried: the combinations of values.

    Raises:
        ScasegError: no figure is defined: the folds' images lack seen or held-out classes.
    """
    known = [one for one in means if not math.isnan(one.harmonic)]
    plain = [one for one in known if one.model == "method" and one.increment == 0.0]
    if not plain:
        raise ScasegError(
            "the images that are set aside do not show both seen and held-out classes on any fold",
            "Raise folds.images, or lower folds.classes.",
        )
    method = _latest_as_good(_best(plain), plain)
    own = [one for one in known if one.model != "method" or one.values == method.values]

    def of(model: str) -> Place | None:
        candidates = [one for one in own if one.model == model]
        return _place(_latest_as_good(_best(candidates), candidates)) if candidates else None

    base, with_increment, control = of("base"), of("method"), of("control")
    assert base is not None
    assert with_increment is not None
    return FoldChoice(
        values=tried[method.values],
        base=base,
        method=_place(method),
        method_increment=with_increment,
        control=control,
    )


def _best(means: Sequence[FoldMean]) -> FoldMean:
    return min(means, key=lambda one: (-one.harmonic, one.values, one.step, abs(one.increment)))


def _latest_as_good(best: FoldMean, means: Sequence[FoldMean]) -> FoldMean:
    """The latest snapshot with the values and the increment of ``best`` that is within one standard error of it."""
    alike = [one for one in means if (one.values, one.increment) == (best.values, best.increment)]
    return max((one for one in alike if one is best or _is_as_good(one, best)), key=lambda one: one.step)


def _is_as_good(one: FoldMean, best: FoldMean) -> bool:
    pairs = zip(best.by_fold, one.by_fold, strict=True)
    differences = [x - y for x, y in pairs if not math.isnan(x) and not math.isnan(y)]
    return len(differences) > 1 and mean(differences) <= stdev(differences) / math.sqrt(len(differences))


def _place(one: FoldMean) -> Place:
    return Place(step=one.step, increment=one.increment)


def _as_json_value(
    recipe: Recipe, chosen: FoldChoice, means: Sequence[FoldMean], tried: Sequence[Values]
) -> dict[str, Any]:
    figures = [
        {**tried[one.values], "model": one.model, "step": one.step, "increment": one.increment}
        | {"harmonic": one.harmonic, "by_fold": list(one.by_fold)}
        for one in means
    ]
    note = "Held-out seen classes stand for the unseen ones; no unseen label was read."
    return {"measure": task_of(recipe).measure, "note": note, "chosen": chosen, "figures": figures}


def _table(recipe: Recipe, means: Sequence[FoldMean], tried: Sequence[Values], chosen: FoldChoice) -> Table:
    """The best snapshot without an increment of each combination of values."""
    title = f"h{TITLES[task_of(recipe).measure]}"
    columns = [
        Column("noise", "noise"),
        Column("beta", "pull", "number"),
        Column("unseen_weight", "unseen weight", "number"),
        Column("step", "step", "count"),
        Column("harmonic", f"{title}, mean of folds", "percent"),
        Column("worst", "worst fold", "percent"),
        Column("chosen", "chosen"),
    ]
    rows = []
    for place, values in enumerate(tried):
        own = [one for one in means if one.values == place and one.model == "method" and one.increment == 0.0]
        known = [one for one in own if not math.isnan(one.harmonic)]
        if not known:
            continue
        top, is_chosen = _best(known), values == chosen["values"]
        worst = min(value for value in top.by_fold if not math.isnan(value))
        row = {**values, "step": top.step, "harmonic": top.harmonic, "worst": worst}
        rows.append(row | ({"chosen": "yes", "_style": "bold"} if is_chosen else {}))
    increments = ", ".join(
        f"{name} {place['increment']:+g}"
        for name, place in (
            ("base", chosen["base"]), ("method", chosen["method_increment"]), ("control", chosen["control"]),
        )
        if place is not None
    )  # fmt: skip
    notes = [
        f"Without an increment. Best increments: {increments}. Held-out seen classes stand for the unseen ones; no "
        "unseen label was read."
    ]
    return Table("Choice on folds of the seen classes", columns, rows, notes)
