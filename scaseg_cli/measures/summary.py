"""Means of a task's measures over seen, unseen and all classes, and their harmonic mean (method.md, measures).

A class that has no value is left out of every mean. Shape: N classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scaseg_cli.results.table import json_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Groups = dict[str, dict[str, float]]


class Quantity(NamedTuple):
    """One of a task's measures: its key in JSON ("pq") and its title in tables ("PQ")."""

    key: str
    title: str


@dataclass(frozen=True, eq=False)
class Summary:
    """What was measured of one classifier on one image set, as fractions.

    Attributes:
        main: the measure that stands for all: the one by which choices are made.
        groups: a value of each measure for each group of classes: seen, unseen, harmonic, all, and further ones. NaN
            for a group without a class that has a value.
        per_class: columns [N] of the table by class.
    """

    main: str
    groups: Groups
    per_class: Mapping[str, NDArray[Any]]

    @property
    def seen(self) -> float:
        """The main measure over seen classes."""
        return self.groups["seen"][self.main]

    @property
    def unseen(self) -> float:
        """The main measure over unseen classes."""
        return self.groups["unseen"][self.main]

    @property
    def harmonic(self) -> float:
        """The harmonic mean of `seen` and `unseen`."""
        return self.groups["harmonic"][self.main]

    def rows(self, class_names: Sequence[str]) -> list[dict[str, Any]]:
        """One row a class: ``class``, its name, and the columns of `per_class`.

        Raises:
            ValueError: not one name a class.
        """
        lengths = {len(column) for column in self.per_class.values()}
        if lengths != {len(class_names)}:
            raise ValueError(f"{len(class_names)} names for {lengths} classes")
        return [
            {"class": name, **{key: column[n].item() for key, column in self.per_class.items()}}
            for n, name in enumerate(class_names)
        ]

    def as_json_value(self) -> dict[str, Any]:
        """The means by group, for a record; NaN as None."""
        groups: dict[str, Any] = json_value(self.groups)
        return groups


def seen_and_unseen(is_seen: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """The groups that every task has, each [N]: seen, unseen, all."""
    return {"seen": is_seen, "unseen": ~is_seen, "all": np.ones_like(is_seen)}


def group_means(values: Mapping[str, NDArray[np.float64]], groups: Mapping[str, NDArray[np.bool_]]) -> Groups:
    """The mean of each measure over the classes of each group that have a value.

    Args:
        values: by measure [N], NaN where a class has none.
        groups: by name, bool [N].

    Raises:
        ValueError: not all of them are [N].
    """
    shapes = {array.shape for array in (*values.values(), *groups.values())}
    if len(shapes) != 1:
        raise ValueError(f"measures and groups of unequal lengths: {sorted(shapes)}")
    return {name: {key: _mean(value[group]) for key, value in values.items()} for name, group in groups.items()}


def with_harmonic(groups: Groups) -> Groups:
    """The groups with the harmonic mean of seen and unseen, of each measure, behind those two."""
    harmonic = {key: harmonic_mean(seen, groups["unseen"][key]) for key, seen in groups["seen"].items()}
    first = {"seen": groups["seen"], "unseen": groups["unseen"], "harmonic": harmonic}
    return {**first, **{name: group for name, group in groups.items() if name not in first}}


def harmonic_mean(seen: float, unseen: float) -> float:
    """2su / (s + u); 0 when one is 0, NaN when one is NaN."""
    if math.isnan(seen) or math.isnan(unseen):
        return math.nan
    return 2 * seen * unseen / (seen + unseen) if seen * unseen > 0 else 0.0


def _mean(values: NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else math.nan
