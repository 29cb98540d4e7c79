"""Counts how many of the labels that were read differ from their annotations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelTally:
    """Counts over the panoptic PNGs of one list that were read.

    Attributes:
        counts: int64 [4]: the labels; those that lack a pixel of a listed segment; these segments; the labels with
            pixels of a segment that is not listed.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))

    def add(self, num_empty: int, has_unnamed: bool) -> None:
        """Count one label.

        Args:
            num_empty: the number of its listed segments without a pixel.
            has_unnamed: whether it has pixels of a segment that is not listed.
        """
        self.counts[:] += (1, num_empty > 0, num_empty, has_unnamed)

    def notes(self, part: str) -> list[str]:
        """A sentence for each kind of difference that occurred in the list ``part``."""
        num_read, with_empty, num_empty, with_unnamed = self.counts.tolist()
        notes = []
        if with_empty:
            which = "this segment takes" if num_empty == 1 else f"these {num_empty:,} segments take"
            notes.append(
                f"Labels of {part} with listed segments without a pixel: {with_empty:,} of {num_read:,} read; "
                f"{which} no part."
            )
        if with_unnamed:
            notes.append(
                f"Labels of {part} with pixels of no listed segment: {with_unnamed:,} of {num_read:,} read; these "
                "pixels are void."
            )
        return notes
