"""Means of panoptic quality over seen, unseen and all classes, and their harmonic mean (method.md, measures).

A class that neither a label nor a prediction holds is absent and left out of every mean, as in panopticapi.
Shape: N classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaseg_cli.evaluation.panoptic_quality import ClassQuality
from scaseg_cli.results.table import Column, json_value

PER_CLASS_COLUMNS = [
    Column("class", "Class"),
    Column("seen", "Seen", "flag"),
    Column("isthing", "Thing", "flag"),
    Column("pq", "PQ", "percent"),
    Column("sq", "SQ", "percent"),
    Column("rq", "RQ", "percent"),
    Column("tp", "TP", "count"),
    Column("fp", "FP", "count"),
    Column("fn", "FN", "count"),
]


class Quality(NamedTuple):
    """PQ, SQ and RQ as fractions; NaN for a group without a present class."""

    pq: float
    sq: float
    rq: float


@dataclass(frozen=True, eq=False)
class Summary:
    """Panoptic quality of one classifier on one image set.

    Attributes:
        seen, unseen, all: means over the present classes of each group.
        harmonic: 2su / (s + u) of each measure.
        things, stuff: means over the present things and stuff, seen and unseen together.
        per_class: what the means are taken from.
        is_seen, isthing: [N].
    """

    seen: Quality
    unseen: Quality
    all: Quality
    harmonic: Quality
    things: Quality
    stuff: Quality
    per_class: ClassQuality
    is_seen: NDArray[np.bool_]
    isthing: NDArray[np.bool_]

    @property
    def spq(self) -> float:
        """Mean PQ over seen classes."""
        return self.seen.pq

    @property
    def upq(self) -> float:
        """Mean PQ over unseen classes."""
        return self.unseen.pq

    @property
    def hpq(self) -> float:
        """Harmonic mean of `spq` and `upq`."""
        return self.harmonic.pq

    def rows(self, class_names: Sequence[str]) -> list[dict[str, Any]]:
        """One row a class, for `PER_CLASS_COLUMNS`; an absent class has no PQ.

        Raises:
            ValueError: not one name a class.
        """
        if len(class_names) != len(self.is_seen):
            raise ValueError(f"{len(class_names)} names for {len(self.is_seen)} classes")
        found = self.per_class
        return [
            {
                "class": name,
                "seen": bool(self.is_seen[n]),
                "isthing": bool(self.isthing[n]),
                **{key: float(getattr(found, key)[n]) for key in ("pq", "sq", "rq")},
                **{key: int(getattr(found, key)[n]) for key in ("tp", "fp", "fn")},
            }
            for n, name in enumerate(class_names)
        ]

    def as_json_value(self) -> dict[str, Any]:
        """The means by group, for a record; NaN as None."""
        groups = ("seen", "unseen", "harmonic", "all", "things", "stuff")
        return json_value({group: getattr(self, group)._asdict() for group in groups})


def summarise(per_class: ClassQuality, is_seen: ArrayLike, isthing: ArrayLike) -> Summary:
    """Take the means.

    Args:
        per_class: `PanopticQuality.per_class()`.
        is_seen: [N] bool.
        isthing: [N] bool.

    Raises:
        ValueError: the masks are not [N].
    """
    seen, thing = np.asarray(is_seen, dtype=bool), np.asarray(isthing, dtype=bool)
    if not seen.shape == thing.shape == per_class.pq.shape:
        raise ValueError(f"masks {seen.shape} and {thing.shape} for {per_class.pq.shape} classes")
    groups = {"seen": seen, "unseen": ~seen, "all": np.ones_like(seen), "things": thing, "stuff": ~thing}
    means = {name: _mean(per_class, group) for name, group in groups.items()}
    both = zip(means["seen"], means["unseen"], strict=True)
    return Summary(
        **means,
        harmonic=Quality(*(harmonic_mean(s, u) for s, u in both)),
        per_class=per_class,
        is_seen=seen,
        isthing=thing,
    )


def harmonic_mean(seen: float, unseen: float) -> float:
    """2su / (s + u); 0 when one is 0, NaN when one is NaN."""
    if math.isnan(seen) or math.isnan(unseen):
        return math.nan
    return 2 * seen * unseen / (seen + unseen) if seen * unseen > 0 else 0.0


def _mean(per_class: ClassQuality, group: NDArray[np.bool_]) -> Quality:
    chosen = group & per_class.present
    if not chosen.any():
        return Quality(math.nan, math.nan, math.nan)
    return Quality(*(float(values[chosen].mean()) for values in (per_class.pq, per_class.sq, per_class.rq)))
