"""The vectors of all names of some classes. Shapes: M names of K classes, C embedding width."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


@dataclass(frozen=True)
class SynonymVectors:
    """One unit vector for each name of each class.

    Attributes:
        vectors_MC: the vectors, class after class, float32.
        counts: the number of names of each class [K].
    """

    vectors_MC: Tensor
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if sum(self.counts) != len(self.vectors_MC) or not all(self.counts):
            raise ValueError(f"{len(self.vectors_MC)} vectors for classes of {self.counts} names")

    @property
    def several(self) -> bool:
        """Whether any class has several names."""
        return len(self.vectors_MC) > len(self.counts)

    def means(self) -> Tensor:
        """Compute the semantic embedding a_k of each class, the normalised mean over its names [K, C].

        The vector of a class with one name is that name's, to the last bit.
        """
        parts = self.vectors_MC.split(list(self.counts))
        return torch.cat([part if len(part) == 1 else F.normalize(part.mean(0, keepdim=True), dim=1) for part in parts])

    def of(self, class_ids: Sequence[int]) -> SynonymVectors:
        """Select classes, in the given order."""
        parts = self.vectors_MC.split(list(self.counts))
        return SynonymVectors(torch.cat([parts[k] for k in class_ids]), tuple(self.counts[k] for k in class_ids))

    @classmethod
    def joined(cls, parts: Iterable[SynonymVectors]) -> SynonymVectors:
        """Put classes one after another."""
        found = list(parts)
        return cls(torch.cat([part.vectors_MC for part in found]), tuple(n for part in found for n in part.counts))

    def table(self) -> Tensor:
        """Return the rows of each class's names, int64 [K, n]; shorter classes repeat their first name."""
        starts = accumulate(self.counts[:-1], initial=0)
        most = max(self.counts)
        rows = [
            [start + (i if i < count else 0) for i in range(most)]
            for start, count in zip(starts, self.counts, strict=True)
        ]
        return torch.tensor(rows)
