"""An ablation from a sweep and a recipe: the rows of its table, with a recipe for each seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from scaseg_cli.ablations.published import PublishedTable, label_of, published_tables
from scaseg_cli.ablations.rows import AblationRow, Change, RowMaker
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.yaml_text import problem_of, read_yaml
from scaseg_cli.tasks import SETTINGS, Setting, task_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaseg_cli.ablations.sweep import Sweep
    from scaseg_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class Ablation:
    """A sweep over one recipe.

    Attributes:
        name: name of the sweep.
        sweep: the sweep, which says what varies.
        rows: rows of the table; in each setting, one of them is the unchanged recipe.
        seeds: seeds of every row.
        recipe: the recipe that the rows change.
    """

    name: str
    sweep: Sweep
    rows: tuple[AblationRow, ...]
    seeds: tuple[int, ...]
    recipe: Recipe

    @property
    def settings(self) -> list[Setting]:
        """The settings in which any row is reported."""
        return [setting for setting in SETTINGS if any(setting in row.settings for row in self.rows)]

    @property
    def published(self) -> PublishedTable | None:
        """The published table, or None; only panoptic segmentation has published tables."""
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
    """Create the ablation of ``sweep`` over ``recipe``.

    Args:
        name: name of the sweep.
        sweep: the sweep, which says what varies.
        recipe: the default row.
        seeds: seeds of every row.
        values: labels or values that replace the sweep's own; the recipe's own value is added.
        settings: settings to report in; those that the sweep lacks are ignored.

    Raises:
        ScasegError: the recipe's schema refuses cells (all of them are reported), or the sweep has no row in these
            settings.
    """
    wanted = tuple(setting for setting in SETTINGS if setting in settings and setting in sweep.settings)
    maker = RowMaker(name, sweep, recipe, tuple(seeds), wanted)
    known = _known(sweep)
    chosen = known if values is None else _chosen(name, sweep, values, known)
    rows = maker.rows(chosen)
    if not rows:
        raise ScasegError(
            f"ablation {name} has no row in the {' or '.join(settings)} setting",
            f"It is reported in the {' and '.join(sweep.settings)} setting.",
        )
    others = {label: change for label, change in known.items() if label not in chosen}
    return Ablation(name, sweep, tuple(maker.with_default(rows, others)), tuple(seeds), recipe)


def parse_values(text: str) -> list[Any]:
    """Parse the text of ``--values``: YAML values separated by commas.

    Raises:
        ScasegError: there is no value, or the text is not YAML.
    """
    try:
        values: list[Any] = read_yaml(f"[{text}]")
    except yaml.YAMLError as error:
        raise ScasegError(
            f"--values {text!r:.200} cannot be read: {problem_of(error)}",
            "Separate YAML values by commas, as in --values 16,32",
        ) from error
    if not values:
        raise ScasegError("--values names no value", "Give at least one value, as in --values 16,32")
    return values


def _known(sweep: Sweep) -> dict[str, Change]:
    """The changes of the sweep's own rows, by label."""
    rows = {row.label: Change(row.set, row.settings) for row in sweep.rows or []}
    return rows | {label_of(value): _assigned(sweep, value) for value in sweep.values or []}


def _chosen(name: str, sweep: Sweep, values: Sequence[Any], known: dict[str, Change]) -> dict[str, Change]:
    """The changes that ``values`` select, by label; a value is the label of a known row, or a new value."""
    chosen: dict[str, Change] = {}
    for value in values:
        label = label_of(value)
        if label not in known and sweep.rows is not None:
            raise ScasegError(f"ablation {name} has no row {label!r}", f"It has {', '.join(map(repr, known))}.")
        several = isinstance(value, list) and len(value) == len(sweep.keys)
        if label not in known and len(sweep.keys) > 1 and not several:
            raise ScasegError(
                f"--values: {value!r} is not a list of {len(sweep.keys)} values",
                f"Give one for each of {', '.join(sweep.keys)}, as in --values '{(sweep.values or [])[0]}'",
            )
        chosen[label] = known.get(label) or _assigned(sweep, value)
    return chosen


def _assigned(sweep: Sweep, value: Any) -> Change:
    return Change(dict(zip(sweep.keys, value if len(sweep.keys) > 1 else [value], strict=True)))
