"""The pass over the images: predictions of our columns for each image, with their scores.

Inference is the same as in `scaseg evaluate`. A prediction's score is the task's main measure in its image alone: the
mean over the classes that label or prediction holds. Shapes: N classes, X = H * W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from scaseg_cli.data.images import read_segments
from scaseg_cli.evaluation.candidates import Candidate, probabilities_of
from scaseg_cli.measures.mean_iou import Confusion, semantic_label
from scaseg_cli.measures.panoptic_quality import PanopticQuality, prepare_label
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from scaseg_cli.data.records import ImageRecord
    from scaseg_cli.evaluation.scored_set import ScoredSet
    from scaseg_cli.measures.fusion import Prediction
    from scaseg_cli.visualization.columns import Column


@dataclass
class ScoredImage:
    """One image with its predictions and scores.

    Attributes:
        record: the image.
        predictions: predictions by column key.
        scores: scores by column key, as fractions; NaN if no class counts.
    """

    record: ImageRecord
    predictions: dict[str, Prediction]
    scores: dict[str, float]


@torch.no_grad()
def score_images(
    scored: ScoredSet, records: Sequence[ImageRecord], columns: Sequence[Column], only_unseen: bool
) -> Iterator[ScoredImage]:
    """Predict and score images for all our own columns in one pass of the network.

    Args:
        scored: the validation images.
        records: the images to score.
        columns: the columns; a peer's is skipped.
        only_unseen: scores are means over unseen classes only.

    Raises:
        ScasegError: an image, its label or the base model cannot be read.
    """
    own: list[tuple[str, Candidate]] = [
        (column.key, column.source) for column in columns if isinstance(column.source, Candidate)
    ]
    rule = scored.inference.rule_of(scored.recipe.evaluation)
    for batch in scored.batches(records, "scoring images"):
        visual_BQD, prepared, regions = scored.segment(batch)
        num_seen = scored.classes.num_seen
        by_key = {key: probabilities_of(candidate, visual_BQD, num_seen, regions) for key, candidate in own}
        for place, (item, image) in enumerate(zip(batch, prepared, strict=True)):
            found = {key: image.predict(of_batch[place], rule) for key, of_batch in by_key.items()}
            scores = {
                key: score_of(scored, item.record, item.label_HW, prediction, only_unseen)
                for key, prediction in found.items()
            }
            yield ScoredImage(item.record, found, scores)


def add_prediction(
    scored: ScoredSet, scored_image: ScoredImage, key: str, prediction: Prediction, only_unseen: bool
) -> None:
    """Add a peer's prediction to an image, with its score."""
    record, label_HW, *_ = read_segments(scored.images, scored_image.record)
    scored_image.predictions[key] = prediction
    scored_image.scores[key] = score_of(scored, record, label_HW, prediction, only_unseen)


def score_of(
    scored: ScoredSet, record: ImageRecord, label_HW: NDArray[np.integer], found: Prediction, only_unseen: bool
) -> float:
    """Compute the task's main measure of one prediction, averaged over all or unseen classes; NaN if none counts."""
    classes = scored.classes
    segments = classes.arrays_of(record.segments)
    if task_of(scored.recipe).measure == "pq":
        quality = PanopticQuality(len(classes))
        label = prepare_label(label_HW, *segments)
        quality.add_prepared(label, found.segment_map_HW, np.arange(1, len(found.class_ids) + 1), found.class_ids)
        values_N = quality.per_class().pq
    else:
        confusion = Confusion(len(classes) + 1)  # the last one stands for pixels without a prediction
        predicted_X = np.concatenate(([len(classes)], found.class_ids))[found.segment_map_HW.reshape(-1)]
        confusion.add(semantic_label(label_HW, segments.ids, segments.class_ids), predicted_X)
        values_N = confusion.per_class().iou[:-1]
    values = values_N[classes.num_seen if only_unseen else 0 :]
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")
