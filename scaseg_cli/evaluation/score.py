"""Score any number of classifiers in one pass of the network: masks do not depend on the classifier.

Shapes: Q queries, N classes, D visual width, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.base.classifier import CosineClassifier
from scaseg_cli.base.segmentor import load_segmentor
from scaseg_cli.data.images import read_image, read_label
from scaseg_cli.evaluation.fusion import FusionRule, MaskSet
from scaseg_cli.evaluation.panoptic_quality import PanopticQuality, PreparedLabel, prepare_label
from scaseg_cli.evaluation.summary import Summary, summarise
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.results.console import meter
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split import ClassList, open_set, read_classes
from scaseg_cli.split.lists import Part

if TYPE_CHECKING:
    from scaseg_cli.data.records import ImageRecord, LabelledSet


@dataclass(frozen=True)
class Candidate:
    """A classifier under a name, with what is added to its unseen logits.

    Attributes:
        name: unique among those scored together.
        classifier: over all N classes, seen first.
        increment: added to every unseen logit.
    """

    name: str
    classifier: CosineClassifier
    increment: float = 0.0


@torch.no_grad()
def score(recipe: Recipe, run: RunDir, image_set: Part, candidates: list[Candidate]) -> dict[str, Summary]:
    """Panoptic quality of every candidate on one image set, from one pass of the network.

    Args:
        recipe: its evaluation section has the thresholds.
        run: the run folder with its finished base stage.
        image_set: ``selection`` for choices, ``validation`` for what is reported.
        candidates: with names unlike each other.

    Raises:
        ScasegError: an earlier stage is missing or of another recipe, or an image cannot be read.
    """
    assert len({c.name for c in candidates}) == len(candidates), "candidates' names must be unlike each other"
    classes = read_classes(run)
    config = recipe.evaluation
    rule = FusionRule(classes.isthing, config.object_threshold, config.overlap_threshold)
    counts = {candidate.name: PanopticQuality(len(classes)) for candidate in candidates}
    images = open_set(recipe, run, image_set)
    segmentor = load_segmentor(recipe, run)
    with meter(f"scoring {len(candidates)} on {image_set}", len(images.images)) as shown:
        for first in range(0, len(images.images), config.batch_size):
            records = images.images[first : first + config.batch_size]
            segmented = segmentor.segment([read_image(images.image_path(r), r) for r in records])
            visual_BQD = torch.stack([visual for visual, _ in segmented])
            shares = class_shares(candidates, visual_BQD, classes.num_seen)
            for b, record in enumerate(records):
                label, masks = prepared_label(images, record, classes), MaskSet(segmented[b][1].numpy())
                for name, (scores_BQ, labels_BQ) in shares.items():
                    masks.add_to(counts[name], label, scores_BQ[b], labels_BQ[b], rule)
            shown.advance(len(records))
    is_seen = np.arange(len(classes)) < classes.num_seen
    return {name: summarise(quality.per_class(), is_seen, classes.isthing) for name, quality in counts.items()}


def class_shares(
    candidates: list[Candidate], visual_BQD: Tensor, num_seen: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each candidate, every query's highest class share [B, Q] and its class [B, Q]; N stands for no-object."""
    logits: dict[int, Tensor] = {}  # candidates that differ in the increment alone share them
    shares = {}
    for candidate in candidates:
        key = id(candidate.classifier)
        if key not in logits:
            logits[key] = candidate.classifier(visual_BQD)
        raised = logits[key].clone()
        raised[..., num_seen:-1] += candidate.increment
        scores, labels = raised.softmax(-1).max(-1)
        shares[candidate.name] = scores.numpy(), labels.numpy()
    return shares


def prepared_label(images: LabelledSet, record: ImageRecord, classes: ClassList) -> PreparedLabel:
    """The label of an image, ready to be compared with predictions.

    Raises:
        ScasegError: its panoptic PNG cannot be read or does not fit its annotation.
    """
    segments = record.segments
    return prepare_label(
        read_label(images, record),
        [segment.id for segment in segments],
        [classes.class_ids[segment.category_id] for segment in segments],
        [segment.iscrowd for segment in segments],
    )
