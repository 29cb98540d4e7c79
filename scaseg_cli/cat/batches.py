"""Where the generator's batches come from: the query store, or the frozen segmentor at every step.

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
    """Real embeddings of one step: with a segment, their seen classes, and without a segment."""

    matched_MD: Tensor
    class_ids_M: Tensor
    null_UD: Tensor


# The batch of iteration i, the same whenever it is asked for. A plain tuple will do, so that the queries package, which
# runs the segmentor and stands below this one, need not know the type.
BatchSource = Callable[[int], tuple[Tensor, Tensor, Tensor]]


class StoredBatches:
    """Batches drawn from the query store, with replacement.

    Args:
        store: V and V^0.
        size: matched embeddings a batch, and as many without a segment.
        seed: the recipe's.
    """

    def __init__(self, store: QueryStore, size: int, seed: int) -> None:
        self.store, self.size, self.seed = store, size, seed

    def __call__(self, iteration: int) -> QueryBatch:
        """The batch of ``iteration``."""
        generator = seeded(self.seed, "cat-batch", iteration)
        matched = torch.randint(len(self.store.matched_MD), (self.size,), generator=generator)
        null = self.store.null_UD
        if len(null):
            null = null[torch.randint(len(null), (self.size,), generator=generator)]
        return QueryBatch(self.store.matched_MD[matched], self.store.class_ids_M[matched], null)
