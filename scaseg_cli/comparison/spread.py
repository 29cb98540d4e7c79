"""Mean and spread over seeds, which every table of several seeds uses."""

from __future__ import annotations

from statistics import mean, stdev
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Change(NamedTuple):
    """How much higher one group of runs is than another.

    Attributes:
        mean: mean difference, as a fraction; None without a value on one side.
        spread: sample standard deviation of the differences by seed; None for fewer than two.
        by_seed: the differences of seeds that both groups have, by seed.
    """

    mean: float | None
    spread: float | None
    by_seed: dict[int, float]


def mean_of(values: Sequence[float]) -> float | None:
    """Return the mean, or None if there is no value.

    >>> mean_of([0.5, 0.25]), mean_of([])
    (0.375, None)
    """
    return mean(values) if values else None


def spread_of(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (with n - 1), or None for fewer than two values.

    >>> spread_of([0.25, 0.5, 0.75]), spread_of([0.25])
    (0.25, None)
    """
    return stdev(values) if len(values) > 1 else None


def change_of(values: Mapping[int, float], others: Mapping[int, float]) -> Change:
    """Compute how much higher ``values`` are than ``others``, both by seed.

    Seeds that both have are paired: the spread is that of their differences, without what two runs of a seed share.
    Without a common seed it is the difference of the means, and there is no spread.

    >>> change_of({0: 0.5, 1: 0.75, 2: 0.5}, {0: 0.25, 1: 0.25})
    Change(mean=0.375, spread=0.1767766952966369, by_seed={0: 0.25, 1: 0.5})
    >>> change_of({1: 0.5}, {0: 0.25})
    Change(mean=0.25, spread=None, by_seed={})
    """
    by_seed = {seed: value - others[seed] for seed, value in values.items() if seed in others}
    if by_seed:
        differences = list(by_seed.values())
        return Change(mean_of(differences), spread_of(differences), by_seed)
    one, two = mean_of(list(values.values())), mean_of(list(others.values()))
    return Change(None if one is None or two is None else one - two, None, {})
