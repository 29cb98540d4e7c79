"""Segmentation of any image: the frozen segmentor, a class projector, and a vocabulary of classes.

Inference is the same as in `scaseg evaluate`, but works on one block of rows at a time, so that a large image needs
little more memory than the image itself. Shapes: Q queries, K classes, D visual width, H W image.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.base.classifier import CosineClassifier, load_classifier
from scaseg_cli.base.projector import load_projector
from scaseg_cli.base.segmentor import Encoded, Segmentor, enlarged, load_segmentor
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import Candidate, probabilities_of
from scaseg_cli.evaluation.clip_on_masks.tuning import use_in
from scaseg_cli.evaluation.clip_on_masks.use import ClipOnMasks, ClipUse, Regions
from scaseg_cli.evaluation.semantic.pixel_classes import pixel_classes
from scaseg_cli.measures.fusion import FusionRule, fuse_in_blocks, kept_queries
from scaseg_cli.prediction.vocabulary import NameVectors, Vocabulary, vocabulary_among
from scaseg_cli.split.classes import ClassList, read_classes
from scaseg_cli.stages import require
from scaseg_cli.tasks import Setting, task_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from scaseg_cli.prediction.names import Names
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

T = TypeVar("T")
_BLOCK_BYTES = 1 << 28  # of the masks that are upsampled at a time
_BATCH_PIXELS = 1 << 25  # of the images of a batch


class Nearest(NamedTuple):
    """How near an image without a segment was to one.

    Attributes:
        class_index: the class with the largest probability, over all queries.
        probability: that probability.
        best_object: the largest probability of a query that is more likely an object than not; None: there is none.
        num_kept: queries above the object threshold, whose masks had too few pixels of their own.
    """

    class_index: int
    probability: float
    best_object: float | None
    num_kept: int


class Segments(NamedTuple):
    """The segments of an image.

    Attributes:
        map_HW: 1 + the index of each pixel's segment; 0 without a segment.
        class_index_S: index of each segment's class in the vocabulary [S].
        scores: largest probability of the segment's class over the queries [S].
        nearest: of an image without a segment: how near it was to one.
    """

    map_HW: NDArray[np.int32]
    class_index_S: NDArray[np.int64]
    scores: NDArray[np.float64]
    nearest: Nearest | None = None


@dataclass(frozen=True)
class Model:
    """Segmentor, classifier and vocabulary: everything that segments images.

    Attributes:
        recipe: the recipe; its evaluation section gives the thresholds.
        segmentor: the frozen network.
        candidate: the classifier over the vocabulary, with the increment of unseen logits.
        vocabulary: the classes.
        on_masks: the CLIP that sees the masks, if the candidate uses it.
    """

    recipe: Recipe
    segmentor: Segmentor
    candidate: Candidate
    vocabulary: Vocabulary
    on_masks: ClipOnMasks | None = None

    def with_threshold(self, object_threshold: float) -> Model:
        """Return the model with another object threshold; nothing that was trained or chosen changes."""
        evaluation = self.recipe.evaluation.model_copy(update={"object_threshold": object_threshold})
        return dataclasses.replace(self, recipe=self.recipe.model_copy(update={"evaluation": evaluation}))

    def with_increment(self, increment: float) -> Model:
        """Return the model with another increment of the unseen logits, such as a result table's best one."""
        return dataclasses.replace(self, candidate=dataclasses.replace(self.candidate, increment=increment))

    def segment_all(
        self, images: Iterable[tuple[T, NDArray[np.uint8]]], batch_size: int
    ) -> Iterator[tuple[T, NDArray[np.uint8], Segments]]:
        """Segment any number of images; yields each image's tag, the image and its segments.

        Args:
            images: pairs of a tag, which identifies the image, and the image, uint8 RGB [H, W, 3].
            batch_size: maximum number of consecutive images of one size in a batch.
        """
        for batch in batches(images, batch_size):
            for (tag, image), segments in zip(batch, self.segment([image for _, image in batch]), strict=True):
                yield tag, image, segments

    @torch.no_grad()
    def segment(self, images: list[NDArray[np.uint8]]) -> Iterator[Segments]:
        """Segment images, uint8 RGB [H, W, 3]; yields the segments of one image at a time."""
        semantic = task_of(self.recipe).labels == "semantic"
        encoded = self.segmentor.encode(images)
        visual_BQD = torch.stack([one.visual_QD for one in encoded])
        regions = Regions(self.on_masks, images, encoded) if self.on_masks is not None else None
        probabilities_BQK1 = probabilities_of(self.candidate, visual_BQD, self.vocabulary.num_seen, regions)
        for one, probabilities_QK1, image in zip(encoded, probabilities_BQK1, images, strict=True):
            found = self._semantic if semantic else self._panoptic
            yield found(one, probabilities_QK1, (image.shape[0], image.shape[1]))

    def _panoptic(self, encoded: Encoded, probabilities_QK1: Tensor, size: tuple[int, int]) -> Segments:
        config = self.recipe.evaluation
        rule = FusionRule(self.vocabulary.isthing, config.object_threshold, config.overlap_threshold)
        scores_Q, labels_Q = (part.numpy() for part in probabilities_QK1.max(-1))
        kept = kept_queries(scores_Q, labels_Q, rule)
        if not len(kept):
            nothing = np.zeros(size, np.int32), np.zeros(0, np.int64), np.zeros(0)
            return Segments(*nothing, _nearest(probabilities_QK1, 0))
        logits_Khw = encoded.logits(torch.from_numpy(kept))
        blocks = (masks_KhW.cpu().numpy() for masks_KhW in mask_blocks(logits_Khw, size))
        fused = fuse_in_blocks(scores_Q[kept], labels_Q[kept], blocks, rule)
        nearest = None if len(fused.class_ids) else _nearest(probabilities_QK1, len(kept))
        return Segments(fused.segment_map_HW, fused.class_ids, fused.scores, nearest)

    def _semantic(self, encoded: Encoded, probabilities_QK1: Tensor, size: tuple[int, int]) -> Segments:
        blocks = mask_blocks(encoded.logits(), size)
        parts = [pixel_classes(probabilities_QK1, masks_QhW.flatten(1)) for masks_QhW in blocks]
        class_index_S, index_X = np.unique(np.concatenate(parts), return_inverse=True)
        best_K = probabilities_QK1[:, :-1].amax(0).double().numpy()
        return Segments(
            (index_X + 1).astype(np.int32).reshape(size), class_index_S.astype(np.int64), best_K[class_index_S]
        )


def _nearest(probabilities_QK1: Tensor, num_kept: int) -> Nearest:
    objects_QK = probabilities_QK1[:, :-1]
    best_Q, class_index_Q = objects_QK.max(-1)
    query = int(best_Q.argmax())
    likely = best_Q[best_Q > probabilities_QK1[:, -1]]
    best_object = float(likely.max()) if len(likely) else None
    return Nearest(int(class_index_Q[query]), float(best_Q[query]), best_object, num_kept)


def mask_blocks(logits_Qhw: Tensor, size: tuple[int, int], at_most: int = _BLOCK_BYTES) -> Iterator[Tensor]:
    """Yield mask probabilities at the image's size in blocks of rows [Q, rows, W], from top to bottom.

    Together they are the masks of `Encoded.masks`, up to the rounding of the sigmoid.

    Args:
        logits_Qhw: mask logits at the network's resolution.
        size: H, W.
        at_most: maximum size of a block in bytes; a block has at least one row.
    """
    height, width = size
    rows = max(1, at_most // (4 * len(logits_Qhw) * width))
    for top in range(0, height, rows):
        yield enlarged(logits_Qhw, size, range(top, min(top + rows, height))).sigmoid()


def batches(
    images: Iterable[tuple[T, NDArray[np.uint8]]], batch_size: int
) -> Iterator[list[tuple[T, NDArray[np.uint8]]]]:
    """Batches of consecutive images of one size: without padding, a result does not depend on the batch.

    Large images make smaller batches, so that memory stays bounded.
    """
    batch: list[tuple[T, NDArray[np.uint8]]] = []
    for image in images:
        most = min(batch_size, max(1, _BATCH_PIXELS // (image[1].shape[0] * image[1].shape[1])))
        if batch and (len(batch) >= most or batch[0][1].shape != image[1].shape):
            yield batch
            batch = []
        batch.append(image)
    if batch:
        yield batch


def check_threshold(recipe: Recipe, object_threshold: float, called: str) -> None:
    """Check that the recipe's task has an object threshold, and that the value is valid.

    Args:
        recipe: the recipe.
        object_threshold: the value.
        called: name of the option or argument in messages.

    Raises:
        ScasegError: the task has no object threshold, or the value is not in 0..1.
    """
    if task_of(recipe).labels == "semantic":
        raise ScasegError(
            f"{called} {object_threshold:g} has no meaning for task {recipe.task}",
            "Leave it out: every pixel gets a class.",
        )
    if not 0 <= object_threshold <= 1:
        raise ScasegError(f"{called} {object_threshold:g} is not in 0..1", "Give a class probability.")


def check_increment(increment: float, called: str) -> None:
    """Check an increment of unseen logits.

    Args:
        increment: the value.
        called: name of the option or argument in messages.

    Raises:
        ScasegError: the value is not a finite number.
    """
    if not math.isfinite(increment):
        raise ScasegError(f"{called} {increment:g} is not a finite number", "Give a number such as 2.5.")


def choose_setting(run: RunDir, asked: str | None) -> Setting:
    """Return the setting asked for; by default transductive if the run has a fine-tuned projector of any recipe."""
    if asked is None:
        return "transductive" if run.record("union") is not None else "inductive"
    return "inductive" if asked == "inductive" else "transductive"


@dataclass(frozen=True)
class Predictor:
    """One setting of a finished run, for any class names; safe to use from several threads.

    Attributes:
        recipe: the run's recipe.
        setting: inductive or transductive.
        known: the run's classes.
        segmentor: the frozen network.
        classifier: the setting's P and a_0, over the run's classes.
        vectors: the semantic embeddings of class names.
        clip: how CLIP on masks takes part; None: not at all.
        on_masks: the CLIP for it.
    """

    recipe: Recipe
    setting: Setting
    known: ClassList
    segmentor: Segmentor
    classifier: CosineClassifier
    vectors: NameVectors
    clip: ClipUse | None
    on_masks: ClipOnMasks

    def over(self, names: Names | None) -> Model:
        """Create the model over the given classes.

        Args:
            names: names of things and of stuff; None means the run's classes.

        Raises:
            ScasegError: two names mean the same class, a name is empty in prompts or too long for the CLIP, or the
                CLIP cannot be read or has changed.
        """
        vocabulary = vocabulary_among(self.known, names, together=task_of(self.recipe).labels == "semantic")
        over = self.classifier.over(*self.vectors.of(vocabulary))
        raised = self.setting == "inductive" and self.clip is None  # CLIP's exponents do what the increment does
        increment = self.recipe.evaluation.inductive_increment if raised else 0.0
        candidate = Candidate(self.setting, over, increment, self.clip)
        return Model(self.recipe, self.segmentor, candidate, vocabulary, self.on_masks)


def load_predictor(recipe: Recipe, run: RunDir, setting: Setting, named: str | torch.device | None = None) -> Predictor:
    """Load one setting of a finished run; the caller's random state does not change.

    Args:
        recipe: the run's recipe.
        run: the run folder with its finished stages.
        setting: inductive or transductive.
        named: the network's device, as for `choose_device`.

    Raises:
        ScasegError: a stage that it needs is missing or was made by another recipe, or its files are damaged.
    """
    require(recipe, run, *needs_of_setting(setting))
    if setting == "transductive" and recipe.union.unseen_codes == "random":
        raise ScasegError(
            "this run's classifier has random vectors for unseen classes (union.unseen_codes), so it reads no name",
            "It is a control. Predict with a run that has union.unseen_codes: text.",
        )
    with torch.random.fork_rng(devices=[]):  # modules draw random weights before theirs are loaded
        classifier = (
            load_classifier(recipe, run) if setting == "inductive" else load_projector(recipe, run, run.projector_file)
        )
        segmentor = load_segmentor(recipe, run, named)
    classifier.requires_grad_(False).eval()
    use, on_masks = use_in(recipe, run, setting), ClipOnMasks(recipe, run, segmentor.device)
    vectors = NameVectors(recipe, run)
    return Predictor(recipe, setting, read_classes(run), segmentor, classifier, vectors, use, on_masks)


def needs_of_setting(setting: Setting) -> tuple[str, ...]:
    """Return the stages that a setting's model is loaded from."""
    return ("split", "embeddings", "base") + (("union",) if setting == "transductive" else ())
