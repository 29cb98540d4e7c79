"""Says why a model finds nothing: how many queries pass the object threshold, and how near the others are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from scaseg_cli.evaluation.candidates import Candidate, probabilities_of
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.data.records import ImageRecord
    from scaseg_cli.evaluation.scored_set import ScoredSet

AT_MOST = 50  # images


@torch.no_grad()
def why_nothing(scored: ScoredSet, candidate: Candidate, records: Sequence[ImageRecord]) -> str:
    """Explain figures that are all zero, from another pass over at most `AT_MOST` of ``records``.

    Raises:
        ScasegError: an image cannot be read.
    """
    records = records[:AT_MOST]
    num_queries, num_passing, num_objects, largest = 0, 0, 0, 0.0
    threshold = scored.recipe.evaluation.object_threshold if task_of(scored.recipe).labels == "panoptic" else 0.0
    for batch in scored.batches(records, "why nothing was found"):
        encoded = scored.segmentor.encode([item.image_HW3 for item in batch])
        visual_BQD = torch.stack([one.visual_QD for one in encoded])
        regions = scored.regions(batch, encoded)
        probabilities = probabilities_of(candidate, visual_BQD, scored.classes.num_seen, regions)
        best, labels = probabilities.max(-1)
        is_object = labels < len(scored.classes)
        num_queries += best.numel()
        num_objects += int(is_object.sum())
        num_passing += int((is_object & (best > threshold)).sum())
        largest = max(largest, float(probabilities[..., :-1].max()))
    return _in_words(len(records), num_queries, num_objects, num_passing, largest, threshold)


def _in_words(images: int, queries: int, objects: int, passing: int, largest: float, threshold: float) -> str:
    seen = f"of {queries} queries on {images} images"
    if passing:
        return (
            f"{passing} {seen} passed, but no segment matches a label. Train longer (base.iterations), or look at the "
            "segments with `scaseg visualize`."
        )
    if not objects:
        return (
            f"no class is the best of any {seen[3:]}: the largest class probability is {largest:.2g}, below that of no "
            "object. Train longer (base.iterations), or lower base.no_object_weight."
        )
    lower = f"{0.9 * largest:.2g}"
    return (
        f"none {seen} passed evaluation.object_threshold {threshold:g}; the largest class probability is "
        f"{largest:.2g}. Lower the threshold (--set evaluation.object_threshold={lower}), or train longer "
        "(base.iterations)."
    )
