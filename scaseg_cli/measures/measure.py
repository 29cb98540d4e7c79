"""The interface of a task's measure: its titles, its counts, and its means over seen and unseen classes.

`panoptic.py` and `semantic.py` implement it. `evaluation/inference.py` turns masks into the predictions to count.
Shapes: N classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scaseg_cli.measures.summary import Quantity, Summary
    from scaseg_cli.results.table import Column

LETTERS = {"seen": "s", "unseen": "u", "harmonic": "h"}  # the prefix of a measure's title for each group of classes
TITLES = {"pq": "PQ", "iou": "IoU"}  # of the main measures, by their keys


class Counts(Protocol):
    """The complete counts of one candidate in ``array``; arrays of several images or processes are summed."""

    array: NDArray[np.int64]


C = TypeVar("C", bound=Counts)


class Measure(Protocol[C]):
    """The measure of one task over a run's classes."""

    @property
    def title(self) -> str:
        """The name of the measure."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities in a summary for each group of classes, the main one first."""

    @property
    def class_columns(self) -> tuple[Column, ...]:
        """The columns of the table by class."""

    @property
    def class_note(self) -> str:
        """The note below the table by class."""

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        """Whether each class is seen, [N]."""

    def by_class(self, counts: C) -> NDArray[np.int64]:
        """The counts of each class that the main measure needs, [M, N]; those of several images are summed."""

    def main_of(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The main measure by class, [..., N], of summed counts [..., M, N]; NaN for a class without a value."""

    def new_counts(self) -> C:
        """Make empty counts."""

    def summarise(self, counts: C) -> Summary:
        """Compute the means over each group of classes, as fractions."""
