"""The measure of zero-shot semantic segmentation: semantic inference as Mask2Former's, and mean IoU.

A pixel gets the class k with the largest sum over the queries q of p(k | q) * m_q, p being the class shares (softmax
with no-object among the classes, which itself is left out of the sum) and m_q the mask's probability at the pixel; of
equal ones the first. So every pixel gets a class. Shapes: Q queries, N classes, H W image, X = H * W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from scaseg_cli.evaluation.fusion import Prediction
from scaseg_cli.evaluation.mean_iou import Confusion, SemanticLabel, semantic_label
from scaseg_cli.evaluation.summary import Quantity, Summary, group_means, seen_and_unseen, with_harmonic
from scaseg_cli.recipe.schema import Evaluation
from scaseg_cli.results.table import Column

_BLOCK = {"cpu": 2048}  # pixels at a time: class sums of so many stay in a core's cache
_LARGE_BLOCK = 1 << 19


@dataclass(frozen=True, eq=False)
class SemanticMeasure:
    """Mean IoU over a run's classes.

    Attributes:
        is_seen: [N] bool.
        device: where classes and masks are multiplied.
    """

    is_seen: NDArray[np.bool_]
    device: torch.device

    title = "intersection over union"
    quantities = (Quantity("iou", "IoU"), Quantity("acc", "Acc"), Quantity("pixel_acc", "PixAcc"))
    class_columns = (
        Column("class", "Class"),
        Column("seen", "Seen", "flag"),
        Column("iou", "IoU", "percent"),
        Column("acc", "Acc", "percent"),
        Column("right", "Right", "count"),
        Column("labelled", "Labelled", "count"),
        Column("predicted", "Predicted", "count"),
    )
    class_note = (
        "Right, labelled, predicted: pixels, of those that have a label. A class that no label and no prediction has "
        "counts nowhere; one that no label has, not in Acc."
    )

    def rule_of(self, config: Evaluation) -> tuple[float, ...]:
        """What of a recipe's inference a candidate's figures depend on: nothing, there being no threshold."""
        del config
        return ()

    def new_counts(self) -> Confusion:
        """Nothing counted yet."""
        return Confusion(len(self.is_seen))

    def prepare(
        self, label_HW: NDArray[np.integer], ids: ArrayLike, class_ids: ArrayLike, iscrowd: ArrayLike, masks_QHW: Tensor
    ) -> SemanticImage:
        """An image's label and masks, ready for any number of classifiers.

        Raises:
            ValueError: the label is not one (`semantic_label`), or its size is not the masks'.
        """
        del iscrowd  # a semantic label tells no instances apart
        label = semantic_label(label_HW, ids, class_ids)
        if label.shape != tuple(masks_QHW.shape[1:]):
            raise ValueError(f"masks are {tuple(masks_QHW.shape[1:])}, label is {label.shape}")
        return SemanticImage(label, masks_QHW.flatten(1).to(self.device))

    def summarise(self, counts: Confusion) -> Summary:
        """Means over the classes of each group; ``pixel_acc`` is of the group's pixels, whatever their class."""
        found = counts.per_class()
        groups = seen_and_unseen(self.is_seen)
        means = group_means({"iou": found.iou, "acc": found.acc}, groups)
        for name, group in groups.items():
            labelled = int(found.labelled[group].sum())
            means[name]["pixel_acc"] = int(found.right[group].sum()) / labelled if labelled else float("nan")
        columns = {key: getattr(found, key) for key in ("iou", "acc", "right", "labelled", "predicted")}
        return Summary("iou", with_harmonic(means), {"seen": self.is_seen, **columns})


@dataclass(frozen=True, eq=False)
class SemanticImage:
    """One image's label, and its masks' probabilities on the device."""

    label: SemanticLabel
    masks_QX: Tensor

    def add(self, counts: Sequence[Confusion], shares: Sequence[Tensor], rules: Sequence[tuple[float, ...]]) -> None:
        """Count the image once for each candidate, from its class shares [Q, N + 1].

        Each candidate is multiplied by itself: what comes out does not depend on which others are scored with it.
        """
        for confusion, shares_QN1, _ in zip(counts, shares, rules, strict=True):
            confusion.add(self.label, self.classes(shares_QN1))

    def predict(self, shares_QN1: Tensor, rule: tuple[float, ...]) -> Prediction:
        """The classes that were found, each one segment."""
        del rule
        present, index_X = np.unique(self.classes(shares_QN1), return_inverse=True)
        return Prediction((index_X + 1).astype(np.int32).reshape(self.label.shape), present.astype(np.int64))

    def classes(self, shares_QN1: Tensor) -> NDArray[np.integer]:
        """The class of every pixel, flat [X]."""
        return pixel_classes(shares_QN1, self.masks_QX)


def pixel_classes(shares_QN1: Tensor, masks_QX: Tensor) -> NDArray[np.integer]:
    """The class of every pixel, flat [X].

    Args:
        shares_QN1: class shares of the queries, no-object last.
        masks_QX: their masks' probabilities, on the device that is to multiply them.
    """
    shares_NQ = shares_QN1[:, :-1].T.contiguous().to(masks_QX.device)
    num_classes, num_pixels = len(shares_NQ), masks_QX.shape[1]
    # argmax along the first axis is slower than the largest code of the classes that have the largest sum
    dtype = torch.uint8 if num_classes <= 256 else torch.int32
    codes_N1 = torch.arange(num_classes - 1, -1, -1, dtype=dtype, device=shares_NQ.device)[:, None]
    code_X = torch.empty(num_pixels, dtype=dtype, device=shares_NQ.device)
    step = _BLOCK.get(shares_NQ.device.type, _LARGE_BLOCK)
    for start in range(0, num_pixels, step):
        block = slice(start, start + step)
        sums = shares_NQ @ masks_QX[:, block]
        code_X[block] = ((sums == sums.amax(0)) * codes_N1).amax(0)
    return num_classes - 1 - code_X.cpu().numpy()
