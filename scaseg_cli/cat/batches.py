"""The sources of the generator's batches: the query store, or the frozen segmentor at every step.

Shapes: M matched queries, U queries without a segment, D visual width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from scaseg_cli.seeds import seeded

if TYPE_CHECKING:
    from scaseg_cli.queries.store import QueryStore


class QueryBatch(NamedTuple):
    """The real embeddings of one step: matched ones, their seen classes, and unmatched ones."""

    matched_MD: Tensor
    class_ids_M: Tensor
    null_UD: Tensor


# Maps iteration i to its batch, the same on every call. A plain tuple is allowed, because the queries package, which
# runs the segmentor, must not import this one.
BatchSource = Callable[[int], tuple[Tensor, Tensor, Tensor]]


class StoredBatches:
    """Draws batches from the query store, with replacement.

    Args:
        store: the query embeddings V and V^0.
        size: matched embeddings per batch, and as many unmatched ones.
        seed: the recipe's seed.
    """

    def __init__(self, store: QueryStore, size: int, seed: int) -> None:
        self.store, self.size, self.seed = store, size, seed

    def __call__(self, iteration: int) -> QueryBatch:
        """Draw the batch of ``iteration``."""
        generator = seeded(self.seed, "cat-batch", iteration)
        matched = torch.randint(len(self.store.matched_MD), (self.size,), generator=generator)
        null = self.store.null_UD
        if len(null):
            null = null[torch.randint(len(null), (self.size,), generator=generator)]
        return QueryBatch(self.store.matched_MD[matched], self.store.class_ids_M[matched], null)
