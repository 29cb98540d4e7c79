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
    wanted = [setting for setting in settings if setting in sweep.settings]
    changes = _changes(name, sweep, values)
    rows, mistakes = [], []
    for label, (own, own_settings) in changes.items():
        reported = tuple(setting for setting in wanted if own_settings is None or setting in own_settings)
        if not reported:
            continue
        try:
            rows.append(_row(f"ablation {name}, cell {label!r}", label, own, reported, recipe, seeds))
        except ScasegError as error:
            mistakes.append(error.message)
    if mistakes:
        raise ScasegError("\n".join(mistakes), "`scaseg recipe show` prints every key with its value.")
    if not rows:
        raise ScasegError(
            f"ablation {name} has no row in the {' or '.join(settings)} setting",
            f"It is reported in the {' and '.join(sweep.settings)} setting.",
        )
    return Ablation(name, sweep, tuple(_with_default(rows, wanted, sweep, recipe, seeds)), tuple(seeds))


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


_Changes = dict[str, tuple[dict[str, Any], list[Setting] | None]]  # by label: keys and values, own settings


def _changes(name: str, sweep: Sweep, values: Sequence[Any] | None) -> _Changes:
    """What each row changes; with ``values``, those alone."""
    known: _Changes = {row.label: (row.set, row.settings) for row in sweep.rows or []}
    known |= {label_of(value): (_assigned(sweep, value), None) for value in sweep.values or []}
    if values is None:
        return known
    chosen: _Changes = {}
    for value in values:
        label = label_of(value)
        if label not in known and sweep.rows is not None:
            raise ScasegError(
                f"ablation {name} has no row {label!r}", f"Its rows are {', '.join(repr(row) for row in known)}."
            )
        several = isinstance(value, list) and len(value) == len(sweep.keys)
        if label not in known and len(sweep.keys) > 1 and not several:
            raise ScasegError(
                f"--values: {value!r} is not a list of {len(sweep.keys)} values",
                f"One for each of {', '.join(sweep.keys)}, such as --values '{(sweep.values or [])[0]}'",
            )
        chosen[label] = known.get(label) or (_assigned(sweep, value), None)
    return chosen


def _assigned(sweep: Sweep, value: Any) -> dict[str, Any]:
    return dict(zip(sweep.keys, value if len(sweep.keys) > 1 else [value], strict=True))


def _row(
    origin: str,
    label: str,
    changes: dict[str, Any],
    settings: tuple[Setting, ...],
    recipe: Recipe,
    seeds: Sequence[int],
) -> Row:
    """A row whose recipes evaluate no more than the settings ask for: the inductive one needs stage 1 alone."""
    setting = "inductive" if settings == ("inductive",) else "both"
    recipes, own = {}, {}
    for seed in seeds:
        common = {"seed": seed, "evaluation.setting": setting}
        recipes[seed] = check_recipe(_changed(recipe, changes | common), origin)
        own[seed] = check_recipe(_changed(recipe, common), "the recipe")
    return Row(label, settings, recipes, recipes == own)


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


def _with_default(
    rows: list[Row], settings: list[Setting], sweep: Sweep, recipe: Recipe, seeds: Sequence[int]
) -> list[Row]:
    """``rows`` and, for the settings in which none of them is the recipe as it is, that row."""
    reported = [setting for setting in settings if any(setting in row.settings for row in rows)]
    lacking = tuple(
        setting for setting in reported if not any(row.is_default and setting in row.settings for row in rows)
    )
    if not lacking:
        return rows
    own = [_value(recipe, key) for key in sweep.keys]
    label = OWN if sweep.rows is not None else label_of(own if len(own) > 1 else own[0])
    added = _row("the recipe", label, {}, lacking, recipe, seeds)
    return [*rows[: (place := _place(own, rows, sweep))], added, *rows[place:]]


def _place(own: list[Any], rows: list[Row], sweep: Sweep) -> int:
    """Where the recipe's own value stands among values that rise; else before them all."""
    values = {label_of(value): value for value in sweep.values or []}
    numbers = [values.get(row.label) for row in rows]
    if len(own) > 1 or not all(isinstance(number, int | float) for number in [*numbers, *own]):
        return 0
    return sum(number < own[0] for number in numbers if isinstance(number, int | float))


def _value(recipe: Recipe, dotted: str) -> Any:
    value: Any = recipe.model_dump(mode="json")
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
