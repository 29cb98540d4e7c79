"""The votes of an image's labelled segments: the class that most pixels of each are predicted as, and its query.

Shapes: H W image, X = H * W pixels, G labelled segments, Q queries, N classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.measures.panoptic_quality import dense_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scaseg_cli.measures.fusion import Prediction


class Parts(NamedTuple):
    """An image's labelled segments.

    Attributes:
        index_X: index of each pixel: 1 + g on segment g, 0 elsewhere.
        class_ids: class id of each segment [G].
    """

    index_X: NDArray[np.intp]
    class_ids: NDArray[np.int64]


def labelled_parts(
    label_HW: NDArray[np.integer],
    ids: NDArray[np.int64],
    class_ids: NDArray[np.int64],
    iscrowd: NDArray[np.bool_],
    by_class: bool,
) -> Parts:
    """Return the labelled segments that have at least one pixel, without crowd regions.

    Args:
        label_HW: segment ids, 0 = no label.
        ids: listed segment ids [G].
        class_ids: their class ids [G].
        iscrowd: whether each is a crowd region [G].
        by_class: merge all segments of a class, as in a semantic label.

    Raises:
        ValueError: the map has a segment that is not listed.
    """
    index_X = dense_index(label_HW, ids, "label")
    parts_G = np.unique(class_ids, return_inverse=True)[1] if by_class else np.arange(len(ids))
    wanted_G = np.ones(len(ids), dtype=bool) if by_class else ~iscrowd
    there_G = np.bincount(index_X, minlength=len(ids) + 1)[1:] > 0
    kept = np.unique(parts_G[wanted_G & there_G])
    column_of = np.zeros(len(ids) + 1, dtype=np.intp)
    is_kept = wanted_G & np.isin(parts_G, kept)
    column_of[1:][is_kept] = 1 + np.searchsorted(kept, parts_G[is_kept])
    first = [int(np.flatnonzero(parts_G == part)[0]) for part in kept]
    return Parts(column_of[index_X], class_ids[first])


def votes_of(parts: Parts, found: Prediction, num_classes: int) -> NDArray[np.int64]:
    """Return the class [G] that most pixels of each segment are predicted as; ``num_classes`` if most have none.

    Ties go to the first class, and to a class rather than to none.
    """
    class_of = np.concatenate([[num_classes], found.class_ids])
    predicted_X = class_of[found.segment_map_HW.reshape(-1)]
    columns, num_parts = num_classes + 1, len(parts.class_ids)
    pixels = np.bincount(parts.index_X * columns + predicted_X, minlength=(num_parts + 1) * columns)
    votes_G: NDArray[np.int64] = pixels.reshape(num_parts + 1, columns)[1:].argmax(1)
    return votes_G


def queries_of(parts: Parts, masks_QHW: Tensor) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the query [G] whose mask (probability >= 0.5) has the largest IoU with each segment, and that IoU [G]."""
    inside_QX = masks_QHW.flatten(1) >= 0.5
    index_X = torch.from_numpy(parts.index_X).to(inside_QX.device)
    segments_G1 = torch.arange(1, len(parts.class_ids) + 1, device=inside_QX.device)[:, None]
    is_segment_GX = index_X == segments_G1
    shared_GQ = is_segment_GX.float() @ inside_QX.float().T  # integers, exact below 2^24 pixels
    union_GQ = is_segment_GX.sum(1)[:, None] + inside_QX.sum(1) - shared_GQ
    iou_GQ = (shared_GQ.double() / union_GQ).cpu().numpy()
    return iou_GQ.argmax(1), iou_GQ.max(1, initial=0.0)
