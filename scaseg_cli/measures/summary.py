"""Means of a task's measures over seen, unseen and all classes, and their harmonic mean (method.md, measures).

Classes without a value are left out of every mean. Shape: N classes.
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
    """The measures of one classifier on one image set, as fractions.

    Attributes:
        main: the main measure, by which choices are made.
        groups: each measure for each group of classes: seen, unseen, harmonic, all, and further ones. NaN for a group
            in which no class has a value.
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
        """Make one row per class: ``class`` (its name) and the columns of `per_class`.

        Raises:
            ValueError: the number of names is not the number of classes.

        >>> summary = Summary("pq", {}, {"pq": np.array([0.5, 0.25])})
        >>> summary.rows(["cat", "dog"])
        [{'class': 'cat', 'pq': 0.5}, {'class': 'dog', 'pq': 0.25}]
        """
        lengths = {len(column) for column in self.per_class.values()}
        if lengths != {len(class_names)}:
            raise ValueError(f"{len(class_names)} names for {lengths} classes")
        return [
            {"class": name, **{key: column[n].item() for key, column in self.per_class.items()}}
            for n, name in enumerate(class_names)
        ]

    def as_json_value(self) -> dict[str, Any]:
        """The means by group for a record, with NaN as None."""
        groups: dict[str, Any] = json_value(self.groups)
        return groups


def seen_and_unseen(is_seen: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Make the groups of every task, each [N]: seen, unseen, all.

    >>> {name: group.tolist() for name, group in seen_and_unseen(np.array([True, False])).items()}
    {'seen': [True, False], 'unseen': [False, True], 'all': [True, True]}
    """
    return {"seen": is_seen, "unseen": ~is_seen, "all": np.ones_like(is_seen)}


def group_means(values: Mapping[str, NDArray[np.float64]], groups: Mapping[str, NDArray[np.bool_]]) -> Groups:
    """Compute the mean of each measure over the classes of each group that have a value.

    Args:
        values: [N] by measure; NaN for classes without a value.
        groups: bool [N] by name.

    Raises:
        ValueError: the arrays differ in length.

    >>> group_means({"iou": np.array([0.5, np.nan, 0.25])}, seen_and_unseen(np.array([True, True, False])))
    {'seen': {'iou': 0.5}, 'unseen': {'iou': 0.25}, 'all': {'iou': 0.375}}
    """
    shapes = {array.shape for array in (*values.values(), *groups.values())}
    if len(shapes) != 1:
        raise ValueError(f"measures and groups differ in length: {sorted(shapes)}")
    return {name: {key: _mean(value[group]) for key, value in values.items()} for name, group in groups.items()}


def absent_as_zero(values: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """The measures with 0 in place of NaN, so that a class in neither label nor prediction lowers each mean.

    PADing (He et al., CVPR 2023) averages in this way; panopticapi and MMSegmentation leave such classes out.

    >>> absent_as_zero({"iou": np.array([0.5, np.nan])})["iou"].tolist()
    [0.5, 0.0]
    """
    return {key: np.nan_to_num(value, nan=0.0) for key, value in values.items()}


def with_harmonic(groups: Groups) -> Groups:
    """Insert the group of the harmonic means of seen and unseen after those two.

    >>> with_harmonic({"seen": {"pq": 0.6}, "unseen": {"pq": 0.2}, "all": {"pq": 0.5}})["harmonic"]["pq"]
    0.3
    """
    harmonic = {key: harmonic_mean(seen, groups["unseen"][key]) for key, seen in groups["seen"].items()}
    first = {"seen": groups["seen"], "unseen": groups["unseen"], "harmonic": harmonic}
    return {**first, **{name: group for name, group in groups.items() if name not in first}}


def harmonic_mean(seen: float, unseen: float) -> float:
    """Compute 2su / (s + u); 0 if one is 0, NaN if one is NaN.

    >>> harmonic_mean(0.6, 0.2), harmonic_mean(0.6, 0.0), harmonic_mean(0.6, math.nan)
    (0.3, 0.0, nan)
    """
    if math.isnan(seen) or math.isnan(unseen):
        return math.nan
    return 2 * seen * unseen / (seen + unseen) if seen * unseen > 0 else 0.0


def _mean(values: NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else math.nan
