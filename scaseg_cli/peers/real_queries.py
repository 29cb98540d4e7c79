"""Fine-tuning with real queries of unseen classes in place of generated ones: self-training, and an oracle.

Shapes: M real queries, N classes, D visual width.
"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.base.classifier import load_classifier
from scaseg_cli.base.device import choose_device
from scaseg_cli.base.projector import KIND as PROJECTOR
from scaseg_cli.base.projector import save_projector
from scaseg_cli.checkpoints import load_module, load_tensors
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import Candidate, probabilities_of
from scaseg_cli.evaluation.score import score
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.files import hash_value
from scaseg_cli.queries.store import QueryStore, load_queries
from scaseg_cli.seeds import seeded
from scaseg_cli.split.classes import read_classes
from scaseg_cli.stages import stage_key
from scaseg_cli.tasks import task_of
from scaseg_cli.union.choose import choose, figures_of, tried_of
from scaseg_cli.union.loss import FinetuneLoss
from scaseg_cli.union.tuning import FineTuning, tune

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.base.projector import Snapshot
    from scaseg_cli.evaluation.scored_set import Labelled
    from scaseg_cli.peers.cells import Cell
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.split.lists import Part

_LEAST_IOU = 0.5  # of a query's mask with the segment that it is taken for


class RealEmbeddings:
    """Draws real embeddings of unseen classes, n_u of each class that has any, with replacement.

    Args:
        v_MD: the embeddings.
        class_ids_M: their classes, all unseen.
        number: n_u.
        seed: the recipe's.
    """

    def __init__(self, v_MD: Tensor, class_ids_M: Tensor, number: int, seed: int) -> None:
        self.v_MD, self.class_ids_M, self.number, self.seed = v_MD, class_ids_M, number, seed
        self.members = [(class_ids_M == k).nonzero()[:, 0] for k in class_ids_M.unique()]

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the embeddings [P, D] of ``step`` and their class ids [P]."""
        random = seeded(self.seed, "peers-real", step)
        drawn = [own[torch.randint(len(own), (self.number,), generator=random).to(own.device)] for own in self.members]
        places = torch.cat(drawn)
        return self.v_MD[places], self.class_ids_M[places]


@torch.no_grad()
def unseen_queries(cell: Cell, part: Part) -> tuple[Tensor, Tensor]:
    """The queries of an image set whose masks cover labelled segments of unseen classes, v [M, D] and class ids [M].

    Raises:
        ScasegError: there is none.
    """
    scored = ScoredSet(cell.recipe, cell.run, part)
    found: list[tuple[Tensor, Tensor]] = []
    for batch in scored.batches(scored.images.images, f"real queries of unseen classes, {part}"):
        for item, one in zip(batch, scored.segmentor.encode([item.image_HW3 for item in batch]), strict=True):
            masks_QHW = one.masks((item.label_HW.shape[0], item.label_HW.shape[1])) >= 0.5
            for segment_HW, class_id in _unseen_segments(scored, item):
                inside_HW = torch.from_numpy(segment_HW)
                shared_Q = (masks_QHW & inside_HW).sum((1, 2))
                iou_Q = shared_Q / (masks_QHW | inside_HW).sum((1, 2))
                if float(iou_Q.max()) > _LEAST_IOU:
                    found.append((one.visual_QD[iou_Q.argmax()], torch.tensor(class_id)))
    if not found:
        raise ScasegError(f"no query covers an unseen segment of the {part} images", "Train the base for longer.")
    return torch.stack([v_D for v_D, _ in found]), torch.stack([class_id for _, class_id in found])


def _unseen_segments(scored: ScoredSet, item: Labelled) -> list[tuple[np.ndarray, int]]:
    segments = scored.classes.arrays_of(item.record.segments)
    unseen = [
        (int(number), int(class_id))
        for number, class_id, crowd in zip(segments.ids, segments.class_ids, segments.iscrowd, strict=True)
        if class_id >= scored.classes.num_seen and not crowd
    ]
    if task_of(scored.recipe).labels == "semantic":  # the regions of a class are one segment
        by_class: dict[int, list[int]] = {}
        for number, class_id in unseen:
            by_class.setdefault(class_id, []).append(number)
        return [(np.isin(item.label_HW, numbers), class_id) for class_id, numbers in by_class.items()]
    return [(item.label_HW == number, class_id) for number, class_id in unseen]


@torch.no_grad()
def self_labelled(cell: Cell, classifier: CosineClassifier, increment: float) -> tuple[Tensor, Tensor]:
    """The queries of the training images that the classifier takes for an unseen class, with that class.

    No label is read: the training images of semantic segmentation hold unseen classes as ignored pixels.

    Raises:
        ScasegError: there is none.
    """
    scored = ScoredSet(cell.recipe, cell.run, "train")
    num_seen, num_classes = scored.classes.num_seen, len(scored.classes)
    visual, ids = [], []
    for batch in scored.batches(scored.images.images, "labelling training images"):
        encoded = scored.segmentor.encode([item.image_HW3 for item in batch])
        v_BQD = torch.stack([one.visual_QD for one in encoded])
        labels_BQ = probabilities_of(Candidate("teacher", classifier, increment), v_BQD, num_seen).argmax(-1)
        chosen_BQ = (labels_BQ >= num_seen) & (labels_BQ < num_classes)
        visual.append(v_BQD[chosen_BQ])
        ids.append(labels_BQ[chosen_BQ])
    v_MD, ids_M = torch.cat(visual), torch.cat(ids)
    if not len(v_MD):
        raise ScasegError("no query of the training images is taken for an unseen class", "Train the base for longer.")
    return v_MD, ids_M


def tuned_with(
    cell: Cell, name: str, find: Callable[[], tuple[Tensor, Tensor]], folder: Path, is_oracle: bool
) -> tuple[CosineClassifier, float]:
    """Fine-tune the projector as stage 3 does, with real queries in place of generated ones; resumes.

    The snapshot is chosen as those of the other rows: on the selection images without an increment, or, if the recipe
    reads no unseen label, the last one.

    Args:
        cell: the recipe and the run folder of the base.
        name: the row's name.
        find: finds the unseen queries and their classes.
        folder: where result and progress are kept.
        is_oracle: whether unseen labels are read anyway.

    Returns:
        The classifier, and the seconds that it took.
    """
    recipe, device, started = cell.recipe, choose_device(cell.recipe), time.monotonic()
    base = load_classifier(recipe, cell.run).requires_grad_(False).eval()
    key = hash_value({"peer": name, "union": stage_key(recipe, cell.run, "union")})
    result, progress = folder / f"{name}.safetensors", folder / f"{name}.pt"
    kept = _kept(result, base, key)
    if kept is not None:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    v_MD, ids_M = find()
    store = load_queries(recipe, cell.run)
    store = QueryStore(store.matched_MD.to(device), store.class_ids_M.to(device), store.null_UD.to(device))
    num_seen = read_classes(cell.run).num_seen
    loss = FinetuneLoss.of(recipe.union, num_seen, len(base.embeddings), recipe.base.no_object_weight)
    drawn = RealEmbeddings(v_MD.to(device), ids_M.to(device), recipe.union.pseudo_unseen, recipe.seed)
    tuning = FineTuning(recipe.union, recipe.seed, copy.deepcopy(base).to(device), loss, store, drawn)
    snapshots = tune(tuning, f"fine-tuning, {name}", progress, key)
    snapshot = _chosen(cell, base, snapshots) if is_oracle or _reads_labels(recipe) else snapshots[-1]
    seconds = round(time.monotonic() - started, 2)
    save_projector(result, snapshot, {"model": name, "key": key, "seconds": seconds})
    progress.unlink(missing_ok=True)
    return snapshot.classifier(base), seconds


def _reads_labels(recipe: Recipe) -> bool:
    return recipe.evaluation.choose_on == "unseen_labels"


def _kept(path: Path, base: CosineClassifier, key: str) -> tuple[CosineClassifier, float] | None:
    """The result of an earlier command with the same key."""
    if not path.is_file():
        return None
    tensors, meta = load_tensors(path, PROJECTOR, "Delete it; the same command makes it again.")
    if meta.get("key") != key:
        return None
    classifier = copy.deepcopy(base)
    load_module(classifier, tensors, path, "Delete it; the same command makes it again.")
    return classifier.requires_grad_(False).eval(), float(meta["seconds"])


def _chosen(cell: Cell, base: CosineClassifier, snapshots: list[Snapshot]) -> Snapshot:
    evaluation = cell.recipe.evaluation.model_copy(update={"increments": [0.0]})
    plain = cell.recipe.model_copy(update={"evaluation": evaluation})
    tried = tried_of(plain, base, base, {"method": snapshots})
    scored = ScoredSet(cell.recipe, cell.run, "selection")
    (scores,) = score(scored, [(plain, [one.candidate for one in tried])])
    step = choose(figures_of(tried, scores.summaries), scored.measure.quantities[0]).method.step
    return next(one for one in snapshots if one.step == step)
