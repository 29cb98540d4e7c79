"""The training data of stages 2 and 3: query embeddings of the training images with their classes.

Shapes: M matched queries, U queries without a segment, D visual width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from scaseg_cli.checkpoints import load_tensors, save_tensors
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.classes import read_classes
from scaseg_cli.stages import require

if TYPE_CHECKING:
    from torch import Tensor

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

KIND = "query embeddings"
_REMEDY = "Run `scaseg train-cat` again: it recomputes the query embeddings."


@dataclass(frozen=True)
class QueryStore:
    """The query embeddings V and V^0 of the training images.

    Attributes:
        matched_MD: embeddings of matched queries, float32.
        class_ids_M: their seen class ids, int64.
        null_UD: a sample of the embeddings of unmatched queries, float32.
    """

    matched_MD: Tensor
    class_ids_M: Tensor
    null_UD: Tensor


def save_queries(store: QueryStore, run: RunDir, meta: dict[str, Any]) -> None:
    """Write the store atomically."""
    tensors = {"matched": store.matched_MD, "class_ids": store.class_ids_M, "null": store.null_UD}
    save_tensors(run.queries_file, KIND, tensors, meta)


def load_queries(recipe: Recipe, run: RunDir) -> QueryStore:
    """Read the store of this recipe.

    Raises:
        ScasegError: it is missing, damaged or from another recipe, or has unexpected tensors, or class ids that the
            split does not have among its seen classes.
    """
    require(recipe, run, "queries")
    tensors, _ = load_tensors(run.queries_file, KIND, _REMEDY)
    if set(tensors) != {"matched", "class_ids", "null"}:
        raise ScasegError(f"{run.queries_file} has the tensors {sorted(tensors)}", _REMEDY)
    matched, class_ids, null = (tensors[name] for name in ("matched", "class_ids", "null"))
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    dims, width = [matched.ndim, null.ndim, class_ids.ndim], recipe.base.channels
    fits = dims == [2, 2, 1] and matched.shape == (len(class_ids), width) and null.shape[1] == width
    if not fits or class_ids.dtype != torch.int64:
        raise ScasegError(f"{run.queries_file} has tensors of other shapes or types: {shapes}", _REMEDY)
    num_seen = read_classes(run).num_seen
    beyond = class_ids[(class_ids < 0) | (class_ids >= num_seen)]
    if len(beyond):
        raise ScasegError(
            f"{run.queries_file} has the class id {int(beyond[0])}, and the seen classes are 0 to {num_seen - 1}",
            _REMEDY,
        )
    return QueryStore(matched.float(), class_ids, null.float())
