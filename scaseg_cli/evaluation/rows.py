"""The rows of the result table: which classifier, with which increment, and with CLIP on masks or without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scaseg_cli.base.classifier import CosineClassifier, load_classifier
from scaseg_cli.base.projector import load_projector
from scaseg_cli.evaluation.candidates import Candidate
from scaseg_cli.evaluation.choices_file import read_choices
from scaseg_cli.evaluation.clip_on_masks.use import ALONE, ClipUse, view_of
from scaseg_cli.measures.result_table import CHOSEN, CLIP_ALONE, CLIP_MAIN, ResultRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

Weights = tuple[float, float]  # CLIP's exponents for seen and for unseen classes
# Rows that CLIP joins, without an increment: its exponents do the same.
_JOINED = {"base": "clip-base", "control": "clip-control", "transductive": CLIP_MAIN}


@dataclass(frozen=True)
class ScoredRow(ResultRow):
    """A row of the result table, with the candidate whose figures it shows."""

    candidate: Candidate

    @property
    def image_tower(self) -> bool:
        """Whether CLIP's image tower runs at test."""
        return self.candidate.clip is not None


def table_rows(recipe: Recipe, run: RunDir, weights: Mapping[str, Weights] | None = None) -> list[ScoredRow]:
    """Return the rows of the recipe's settings, in the order of the table; those with CLIP on masks come last.

    Args:
        recipe: the recipe.
        run: the run folder.
        weights: CLIP's exponents by row, where they were tuned.

    Raises:
        ScasegError: a stage that a row needs is missing or was made by another recipe, or its files are damaged.
    """
    rows = _own_rows(recipe, run)
    return rows + clip_rows(recipe, rows, weights)


def _own_rows(recipe: Recipe, run: RunDir) -> list[ScoredRow]:
    base = load_classifier(recipe, run).requires_grad_(False).eval()
    increment, setting = recipe.evaluation.inductive_increment, recipe.evaluation.setting
    rows: list[ScoredRow] = []

    def add(
        name: str, setting: str, model: str, classifier: CosineClassifier, increment: float = 0.0, on: str | None = None
    ) -> None:
        candidate = Candidate(name, classifier, increment)
        rows.append(ScoredRow(name, setting, model, increment, candidate, chosen_on=on))

    if setting != "transductive":
        add("base", "inductive", "base", base)
        add("inductive", "inductive", "base", base, increment)
    if setting == "inductive":
        return rows
    choices = read_choices(run)
    chosen, chosen_on = choices["chosen"], choices.get("chosen_on", "unseen_labels")
    is_fixed = chosen_on == "nothing"
    with_increment = "published increment" if is_fixed else CHOSEN
    best = "last snapshot, fixed" if is_fixed else "best snapshot"
    tuned = {
        name: load_projector(recipe, run, path)
        for name, path in (("best", run.projector_file), ("increment", run.best_increment_file))
    }
    add("base-best-increment", "control", f"base, {with_increment}", base, chosen["base"]["increment"], chosen_on)
    if chosen["control"] is not None:
        control = load_projector(recipe, run, run.control_file)
        model = "no generator"
        add("control", "control", model, control, 0.0, chosen_on)
        increment = chosen["control"]["increment"]
        add("control-best-increment", "control", f"{model}, {with_increment}", control, increment, chosen_on)
    add("last", "transductive", "last snapshot", load_projector(recipe, run, run.last_projector_file))
    wanted = chosen["method_increment"]["increment"]
    both = f"{best}, {with_increment}" if is_fixed else "best snapshot and increment"
    add("transductive-best-increment", "transductive", both, tuned["increment"], wanted, chosen_on)
    add("transductive", "transductive", best, tuned["best"], 0.0, chosen_on)
    return rows


def clip_rows(
    recipe: Recipe, rows: Sequence[ScoredRow], weights: Mapping[str, Weights] | None = None
) -> list[ScoredRow]:
    """Return the rows with CLIP on masks: alone, and beside the classifiers of ``rows``; none if the recipe has it off.

    Args:
        recipe: says how CLIP sees a mask, and its fixed exponents.
        rows: the other rows; the first one has the base's classifier.
        weights: exponents by row in place of the recipe's.
    """
    view = view_of(recipe.evaluation)
    if view is None:
        return []
    fixed = recipe.evaluation.clip_seen_weight, recipe.evaluation.clip_unseen_weight
    base = replace(rows[0].candidate, name=CLIP_ALONE, increment=0.0, clip=ClipUse(view, *ALONE))
    found = [ScoredRow(CLIP_ALONE, "inductive", f"CLIP on masks ({view.method})", 0.0, base)]
    for row in rows:
        if (name := _JOINED.get(row.name)) is not None:
            use = ClipUse(view, *(weights or {}).get(name, fixed))
            candidate = replace(row.candidate, name=name, clip=use)
            model = f"{row.model} + CLIP on masks"
            found.append(ScoredRow(name, row.setting, model, 0.0, candidate, chosen_on=row.chosen_on))
    return found
