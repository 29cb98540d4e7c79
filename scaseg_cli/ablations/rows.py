"""The rows of an ablation's table, each with a checked recipe for each seed."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.ablations.published import label_of
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.load import check_recipe
from scaseg_cli.tasks import SETTINGS, Setting

if TYPE_CHECKING:
    from scaseg_cli.ablations.sweep import Sweep
    from scaseg_cli.recipe.schema import Recipe

OWN = "the recipe"


@dataclass(frozen=True)
class AblationRow:
    """One row of the table.

    Attributes:
        label: the row's name.
        settings: settings in which it is reported.
        recipes: recipes by seed; their evaluation covers the settings.
        is_default: whether this is the unchanged recipe.
    """

    label: str
    settings: tuple[Setting, ...]
    recipes: dict[int, Recipe]
    is_default: bool


@dataclass(frozen=True)
class Change:
    """The recipe keys that a row sets, and its settings if they differ from the sweep's."""

    keys: dict[str, Any]
    settings: list[Setting] | None = None


@dataclass(frozen=True)
class RowMaker:
    """Creates the rows of one ablation, which are reported in no other than ``settings``."""

    name: str
    sweep: Sweep
    recipe: Recipe
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]

    def rows(self, changes: dict[str, Change]) -> list[AblationRow]:
        """Create one row for each change that is reported in any of the settings.

        Raises:
            ScasegError: the recipe's schema refuses some changes; all of them are reported.
        """
        rows, mistakes = [], []
        for label, change in changes.items():
            reported = tuple(setting for setting in self.settings if setting in (change.settings or SETTINGS))
            try:
                rows += [self.row(label, change.keys, reported)] if reported else []
            except ScasegError as error:
                mistakes.append(error.message)
        if mistakes:
            raise ScasegError("\n".join(mistakes), "Run `scaseg recipe show` to see every key with its value.")
        return rows

    def row(self, label: str, keys: dict[str, Any], settings: tuple[Setting, ...]) -> AblationRow:
        """Create a row whose recipes evaluate only what ``settings`` need: an inductive row needs stage 1 only."""
        origin = f"ablation {self.name}, cell {label!r}"
        whole = "inductive" if settings == ("inductive",) else "both"
        recipes, own = {}, {}
        for seed in self.seeds:
            common = {"seed": seed, "evaluation.setting": whole}
            recipes[seed] = check_recipe(_changed(self.recipe, keys | common), origin)
            own[seed] = check_recipe(_changed(self.recipe, common), origin)
        return AblationRow(label, settings, recipes, recipes == own)

    def with_default(self, rows: list[AblationRow], others: dict[str, Change]) -> list[AblationRow]:
        """Return ``rows`` with a row of the unchanged recipe added for each setting that lacks one."""
        lacking = [
            setting
            for setting in self.settings
            if any(setting in row.settings for row in rows)
            and not any(row.is_default and setting in row.settings for row in rows)
        ]
        for row in self.rows(others) if lacking else []:  # prefer the sweep's own label
            if row.is_default and set(row.settings) & set(lacking):
                lacking = [setting for setting in lacking if setting not in row.settings]
                rows = self._inserted(row, rows)
        if not lacking:
            return rows
        own = [_value(self.recipe, key) for key in self.sweep.keys]
        label = OWN if self.sweep.rows is not None else label_of(own if len(own) > 1 else own[0])
        return self._inserted(self.row(label, {}, tuple(lacking)), rows)

    def _inserted(self, row: AblationRow, rows: list[AblationRow]) -> list[AblationRow]:
        """``rows`` with ``row``, sorted in if the sweep varies one key over numbers, else in front."""
        (recipe, *_) = row.recipes.values()
        values = [_value(next(iter(other.recipes.values())), self.sweep.keys[0]) for other in rows]
        own = _value(recipe, self.sweep.keys[0])
        rising = self.sweep.varies is not None and len(self.sweep.keys) == 1
        numbers = [value for value in [*values, own] if isinstance(value, int | float)]
        place = sum(value < own for value in values) if rising and len(numbers) > len(values) else 0
        return [*rows[:place], row, *rows[place:]]


def _changed(recipe: Recipe, changes: dict[str, Any]) -> dict[str, Any]:
    content = recipe.model_dump(mode="json")
    for dotted, value in changes.items():
        *sections, key = dotted.split(".")
        place = content
        for section in sections:
            if not isinstance(place.get(section), dict):  # the section is not set; the schema reports mistakes
                place[section] = {}
            place = place[section]
        place[key] = copy.deepcopy(value)
    return content


def _value(recipe: Recipe, dotted: str) -> Any:
    value: Any = recipe.model_dump(mode="json")
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
