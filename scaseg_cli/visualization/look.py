"""The pass over the images: what our columns make of each, and how well.

Inference is that of `scaseg evaluate`. The score of a prediction is the task's main measure in that image alone: the
mean over the classes that label or prediction holds. Shapes: N classes, X = H * W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from scaseg_cli.data.ahead import computed_ahead
from scaseg_cli.data.images import read_label
from scaseg_cli.evaluation.fusion import Prediction
from scaseg_cli.evaluation.lineup import Candidate, shares_of
from scaseg_cli.evaluation.mean_iou import Confusion, semantic_label
from scaseg_cli.evaluation.panoptic_quality import PanopticQuality, prepare_label
from scaseg_cli.evaluation.passes import ScoredSet
from scaseg_cli.results.console import meter
from scaseg_cli.tasks import task_of
from scaseg_cli.visualization.columns import Column

if TYPE_CHECKING:
    from scaseg_cli.data.records import ImageRecord

_READERS = 2  # threads that read images and labels, each one batch ahead


@dataclass
class Looked:
    """One image.

    Attributes:
        record: the image.
        predictions: by column.
        scores: by column, a fraction; NaN where no class counts.
    """

    record: ImageRecord
    predictions: dict[str, Prediction]
    scores: dict[str, float]


@torch.no_grad()
def look(
    scored: ScoredSet, records: Sequence[ImageRecord], columns: Sequence[Column], only_unseen: bool
) -> Iterator[Looked]:
    """What our own columns make of each image, one pass of the network for all of them.

    Args:
        scored: the validation images.
        records: of them.
        columns: a peer's is left out.
        only_unseen: scores are means over unseen classes.

    Raises:
        ScasegError: an image or its label cannot be read, or the base model.
    """
    own: list[tuple[str, Candidate]] = [
        (column.key, column.source) for column in columns if isinstance(column.source, Candidate)
    ]
    rule, batch_size = scored.measure.rule_of(scored.recipe.evaluation), scored.recipe.evaluation.batch_size
    batches = [records[first : first + batch_size] for first in range(0, len(records), batch_size)]
    with meter("looking at images", len(records)) as shown:
        for batch in computed_ahead(scored.read, batches, _READERS, ahead=1):
            visual_BQD, prepared = scored.segment(batch)
            shares = {key: shares_of(candidate, visual_BQD, scored.classes.num_seen) for key, candidate in own}
            for place, (item, image) in enumerate(zip(batch, prepared, strict=True)):
                found = {key: image.predict(shares_BQN1[place], rule) for key, shares_BQN1 in shares.items()}
                scores = {
                    key: score_of(scored, item.record, item.label_HW, prediction, only_unseen)
                    for key, prediction in found.items()
                }
                yield Looked(item.record, found, scores)
                shown.advance()


def add_prediction(scored: ScoredSet, looked: Looked, key: str, prediction: Prediction, only_unseen: bool) -> None:
    """Take in what a peer made of an image."""
    label_HW = read_label(scored.images, looked.record)
    looked.predictions[key] = prediction
    looked.scores[key] = score_of(scored, looked.record, label_HW, prediction, only_unseen)


def score_of(
    scored: ScoredSet, record: ImageRecord, label_HW: NDArray[np.integer], found: Prediction, only_unseen: bool
) -> float:
    """The task's main measure of one prediction, a mean over all or over unseen classes; NaN where none counts."""
    classes = scored.classes
    segments = record.segments
    ids = [segment.id for segment in segments]
    class_ids = [classes.class_ids[segment.category_id] for segment in segments]
    if task_of(scored.recipe).measure == "pq":
        quality = PanopticQuality(len(classes))
        label = prepare_label(label_HW, ids, class_ids, [segment.iscrowd for segment in segments])
        quality.add_prepared(label, found.segment_map_HW, np.arange(1, len(found.class_ids) + 1), found.class_ids)
        values_N = quality.per_class().pq
    else:
        confusion = Confusion(len(classes) + 1)  # the last one stands for pixels without a prediction
        predicted_X = np.concatenate(([len(classes)], found.class_ids))[found.segment_map_HW.reshape(-1)]
        confusion.add(semantic_label(label_HW, ids, class_ids), predicted_X)
        values_N = confusion.per_class().iou[:-1]
    values = values_N[classes.num_seen if only_unseen else 0 :]
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")
