"""From a sweep and a recipe to the cells of a table: each row's recipe for each seed, all of them checked."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from scaseg_cli.ablations.published import SETTINGS, PublishedTable, Setting, label_of, published_tables
from scaseg_cli.ablations.sweep import Sweep
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.load import check_recipe
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.recipe.yaml_text import read_yaml
from scaseg_cli.tasks import task_of

OWN = "the recipe"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        label: what it is known by.
        settings: those in which it is reported.
        recipes: by seed; their evaluation covers the settings.
        is_default: whether these are the recipe as it is.
    """

    label: str
    settings: tuple[Setting, ...]
    recipes: dict[int, Recipe]
    is_default: bool


@dataclass(frozen=True)
class Ablation:
    """A sweep over one recipe.

    Attributes:
        name: of the sweep.
        sweep: what varies.
        rows: among them, of every setting, the recipe as it is.
        seeds: of every row.
    """

    name: str
    sweep: Sweep
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]

    @property
    def settings(self) -> list[Setting]:
        """Those that any row is reported in."""
        return [setting for setting in SETTINGS if any(setting in row.settings for row in self.rows)]

    @property
    def published(self) -> PublishedTable | None:
        """The published table; there is one for panoptic segmentation alone."""
        recipe = next(iter(self.rows[0].recipes.values()))
        if self.sweep.published is None or task_of(recipe).measure != "pq":
            return None
        return published_tables()[self.sweep.published]


def make_ablation(
    name: str,
    sweep: Sweep,
    recipe: Recipe,
    seeds: Sequence[int],
    values: Sequence[Any] | None = None,
    settings: Iterable[Setting] = SETTINGS,
) -> Ablation:
    """The cells of ``sweep`` over ``recipe``.

    Args:
        name: of the sweep.
        sweep: what varies.
        recipe: the default row.
        seeds: of every row.
        values: labels or values to take in place of the sweep's own; the recipe's own is added.
        settings: to report in, where the sweep has them.

    Raises:
        ScasegError: the recipe's schema refuses cells (all are named), or the sweep has nothing to report in these
            settings.
    """
    wanted = tuple(setting for setting in SETTINGS if setting in settings and setting in sweep.settings)
    maker = _Maker(name, sweep, recipe, tuple(seeds), wanted)
    known = _known(sweep)
    chosen = known if values is None else _chosen(name, sweep, values, known)
    rows = maker.rows(chosen)
    if not rows:
        raise ScasegError(
            f"ablation {name} has no row in the {' or '.join(settings)} setting",
            f"It is reported in the {' and '.join(sweep.settings)} setting.",
        )
    others = {label: change for label, change in known.items() if label not in chosen}
    return Ablation(name, sweep, tuple(maker.with_default(rows, others)), tuple(seeds))


def parse_values(text: str) -> list[Any]:
    """What ``--values`` says: YAML values with commas between them.

    Raises:
        ScasegError: there is none, or it is no YAML.
    """
    try:
        values = read_yaml(f"[{text}]")
    except yaml.YAMLError as error:
        raise ScasegError(f"--values {text!r} cannot be read", "For example --values 16,32") from error
    if not values:
        raise ScasegError("--values names no value", "For example --values 16,32")
    return values


@dataclass(frozen=True)
class _Change:
    """What a row sets; its settings, where it has settings of its own."""

    keys: dict[str, Any]
    settings: list[Setting] | None = None


def _known(sweep: Sweep) -> dict[str, _Change]:
    """The sweep's own rows by label."""
    rows = {row.label: _Change(row.set, row.settings) for row in sweep.rows or []}
    return rows | {label_of(value): _assigned(sweep, value) for value in sweep.values or []}


def _chosen(name: str, sweep: Sweep, values: Sequence[Any], known: dict[str, _Change]) -> dict[str, _Change]:
    """The rows that ``values`` mean: labels of known ones, or further values."""
    chosen: dict[str, _Change] = {}
    for value in values:
        label = label_of(value)
        if label not in known and sweep.rows is not None:
            raise ScasegError(f"ablation {name} has no row {label!r}", f"It has {', '.join(map(repr, known))}.")
        several = isinstance(value, list) and len(value) == len(sweep.keys)
        if label not in known and len(sweep.keys) > 1 and not several:
            raise ScasegError(
                f"--values: {value!r} is not a list of {len(sweep.keys)} values",
                f"One for each of {', '.join(sweep.keys)}, such as --values '{(sweep.values or [])[0]}'",
            )
        chosen[label] = known.get(label) or _assigned(sweep, value)
    return chosen


def _assigned(sweep: Sweep, value: Any) -> _Change:
    return _Change(dict(zip(sweep.keys, value if len(sweep.keys) > 1 else [value], strict=True)))


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one ablation, reported in ``settings`` at most."""

    name: str
    sweep: Sweep
    recipe: Recipe
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]

    def rows(self, changes: dict[str, _Change]) -> list[Row]:
        """One for each change that is reported in any of the settings.

        Raises:
            ScasegError: the recipe's schema refuses some; all are named.
        """
        rows, mistakes = [], []
        for label, change in changes.items():
            reported = tuple(setting for setting in self.settings if setting in (change.settings or SETTINGS))
            try:
                rows += [self.row(label, change.keys, reported)] if reported else []
            except ScasegError as error:
                mistakes.append(error.message)
        if mistakes:
            raise ScasegError("\n".join(mistakes), "`scaseg recipe show` prints every key with its value.")
        return rows

    def row(self, label: str, keys: dict[str, Any], settings: tuple[Setting, ...]) -> Row:
        """A row whose recipes evaluate no more than the settings ask for: the inductive one needs stage 1 alone."""
        origin = f"ablation {self.name}, cell {label!r}"
        whole = "inductive" if settings == ("inductive",) else "both"
        recipes, own = {}, {}
        for seed in self.seeds:
            common = {"seed": seed, "evaluation.setting": whole}
            recipes[seed] = check_recipe(_changed(self.recipe, keys | common), origin)
            own[seed] = check_recipe(_changed(self.recipe, common), origin)
        return Row(label, settings, recipes, recipes == own)

    def with_default(self, rows: list[Row], others: dict[str, _Change]) -> list[Row]:
        """``rows`` and, for the settings in which none of them is the recipe as it is, one that is."""
        lacking = [
            setting
            for setting in self.settings
            if any(setting in row.settings for row in rows)
            and not any(row.is_default and setting in row.settings for row in rows)
        ]
        for row in self.rows(others) if lacking else []:  # the sweep's own name for it
            if row.is_default and set(row.settings) & set(lacking):
                lacking = [setting for setting in lacking if setting not in row.settings]
                rows = self._inserted(row, rows)
        if not lacking:
            return rows
        own = [_value(self.recipe, key) for key in self.sweep.keys]
        label = OWN if self.sweep.rows is not None else label_of(own if len(own) > 1 else own[0])
        return self._inserted(self.row(label, {}, tuple(lacking)), rows)

    def _inserted(self, row: Row, rows: list[Row]) -> list[Row]:
        """``row`` among rows whose values rise, else before them."""
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
            if not isinstance(place.get(section), dict):  # not set there; what is wrong with it, the schema says
                place[section] = {}
            place = place[section]
        place[key] = copy.deepcopy(value)
    return content


def _value(recipe: Recipe, dotted: str) -> Any:
    value: Any = recipe.model_dump(mode="json")
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
