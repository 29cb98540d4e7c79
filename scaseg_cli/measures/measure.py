"""What a measure of a task offers: its titles, its counts, and its means over seen and unseen classes.

`panoptic.py` and `semantic.py` hold the two measures. How masks become the predictions that are counted here is the
business of `evaluation/inference.py`. Shapes: N classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scaseg_cli.measures.summary import Quantity, Summary
    from scaseg_cli.results.table import Column

LETTERS = {"seen": "s", "unseen": "u", "harmonic": "h"}  # the prefix of a measure's title for each group of classes


class Counts(Protocol):
    """Everything counted for one candidate, in ``array``: counts of several images or processes are summed."""

    array: NDArray[np.int64]


C = TypeVar("C", bound=Counts)


class Measure(Protocol[C]):
    """The measure of one task over a run's classes."""

    @property
    def title(self) -> str:
        """The measure's name in words."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that a summary holds for each group of classes, the main one first."""

    @property
    def class_columns(self) -> tuple[Column, ...]:
        """The columns of the table by class."""

    @property
    def class_note(self) -> str:
        """The note below the table by class."""

    def new_counts(self) -> C:
        """Empty counts."""

    def summarise(self, counts: C) -> Summary:
        """The means over each group of classes, as fractions."""
