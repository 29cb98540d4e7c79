"""From a sweep and a recipe to an ablation: the rows of its table, with a recipe for each seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from scaseg_cli.ablations.published import PublishedTable, label_of, published_tables
from scaseg_cli.ablations.rows import AblationRow, Change, RowMaker
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.yaml_text import read_yaml
from scaseg_cli.tasks import SETTINGS, Setting, task_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaseg_cli.ablations.sweep import Sweep
    from scaseg_cli.recipe.schema import Recipe


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
    rows: tuple[AblationRow, ...]
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
    return Ablation(name, sweep, tuple(maker.with_default(rows, others)), tuple(seeds))


def parse_values(text: str) -> list[Any]:
    """What ``--values`` says: YAML values with commas between them.

    Raises:
        ScasegError: there is none, or it is no YAML.
    """
    try:
        values: list[Any] = read_yaml(f"[{text}]")
    except yaml.YAMLError as error:
        raise ScasegError(f"--values {text!r} cannot be read", "For example --values 16,32") from error
    if not values:
        raise ScasegError("--values names no value", "For example --values 16,32")
    return values


def _known(sweep: Sweep) -> dict[str, Change]:
    """The sweep's own rows by label."""
    rows = {row.label: Change(row.set, row.settings) for row in sweep.rows or []}
    return rows | {label_of(value): _assigned(sweep, value) for value in sweep.values or []}


def _chosen(name: str, sweep: Sweep, values: Sequence[Any], known: dict[str, Change]) -> dict[str, Change]:
    """The rows that ``values`` mean: labels of known ones, or further values."""
    chosen: dict[str, Change] = {}
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


def _assigned(sweep: Sweep, value: Any) -> Change:
    return Change(dict(zip(sweep.keys, value if len(sweep.keys) > 1 else [value], strict=True)))
