"""The segments of labels and predictions as they are drawn, and which of them are wrong.

A predicted segment is wrong if it is a false positive of panoptic quality: no labelled segment of its class has an IoU
with it above a half. In a semantic prediction, the region of each class is one segment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from scaseg_cli.data.images import read_segments
from scaseg_cli.drawing.regions import Region
from scaseg_cli.measures.panoptic_quality import PanopticQuality, PreparedLabel, prepare_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.drawing.class_styles import ClassStyle
    from scaseg_cli.embeddings.store import ClassEmbeddings
    from scaseg_cli.measures.fusion import Prediction
    from scaseg_cli.split.classes import ClassList


def labelled_regions(
    images: LabelledSet, record: ImageRecord, classes: ClassList, styles: Sequence[ClassStyle]
) -> list[Region]:
    """Return the segments of an image's label as regions to draw."""
    record, ids_HW, *_ = read_segments(images, record)
    ids_G, class_ids_G, _ = classes.arrays_of(record.segments)
    return [Region(ids_HW == n, styles[class_id]) for n, class_id in zip(ids_G, class_ids_G, strict=True)]


def prepared_label(images: LabelledSet, record: ImageRecord, classes: ClassList) -> PreparedLabel:
    """Prepare an image's label for `predicted_regions`. A semantic label's segments are the regions of its classes.

    Raises:
        ScasegError: its PNG cannot be read or does not fit its annotation.
    """
    record, ids_HW, *_ = read_segments(images, record)
    return prepare_label(ids_HW, *classes.arrays_of(record.segments))


def predicted_regions(found: Prediction, label: PreparedLabel, styles: Sequence[ClassStyle]) -> list[Region]:
    """Return the segments of a prediction as regions; false positives against ``label`` are marked wrong."""
    regions = []
    for segment_id, class_id in enumerate(found.class_ids.tolist(), start=1):
        mask_HW = found.segment_map_HW == segment_id
        regions.append(Region(mask_HW, styles[class_id], _is_wrong(mask_HW, class_id, label, len(styles))))
    return regions


def nearest_in_words(record: ImageRecord, classes: ClassList, embeddings: ClassEmbeddings) -> str:
    """Say which seen class, by their names, is nearest to each unseen class that the image holds.

    An unseen object is most often taken for that class, and that class loses most where the unseen one gains.
    """
    nearest = [classes.names[class_id] for class_id in embeddings.nearest_seen(classes.num_seen)]
    held = {segment.category_id for segment in record.segments}
    pairs = zip(classes.classes[classes.num_seen :], nearest, strict=True)
    said = [f"{item.name}: {name}" for item, name in pairs if item.category_id in held]
    return f"nearest seen class of {', of '.join(said)}" if said else ""


class TakenFor(TypedDict):
    """A labelled segment of an unseen class that a prediction takes for something else.

    Attributes:
        category: its class.
        taken_for: the class that most of its pixels have in the prediction; None: they have none.
        area: its size in pixels.
    """

    category: str
    taken_for: str | None
    area: int


def taken_for(labelled: Sequence[Region], found: Prediction, styles: Sequence[ClassStyle]) -> list[TakenFor]:
    """Return the labelled segments of unseen classes, the largest first, most of whose pixels have another class.

    Args:
        labelled: the segments of an image's label.
        found: the prediction in that image.
        styles: style of each class, by class id.
    """
    class_of_S = np.concatenate(([len(styles)], found.class_ids))  # the last one stands for pixels without a segment
    wrong: list[TakenFor] = []
    for region in labelled:
        if not region.style.unseen or not region.mask_HW.any():
            continue
        votes_N1 = np.bincount(class_of_S[found.segment_map_HW[region.mask_HW]], minlength=len(styles) + 1)
        most = int(votes_N1.argmax())
        name = styles[most].name if most < len(styles) else None
        if name != region.style.name:
            wrong.append(TakenFor(category=region.style.name, taken_for=name, area=int(region.mask_HW.sum())))
    return sorted(wrong, key=lambda item: -item["area"])


def _is_wrong(mask_HW: NDArray[np.bool_], class_id: int, label: PreparedLabel, num_classes: int) -> bool:
    """Whether a segment, counted on its own, is a false positive."""
    quality = PanopticQuality(num_classes)
    pixels = np.bincount(label.index_X[mask_HW.ravel()], minlength=label.num_columns)
    quality.add_counts(label, [pixels.tolist()], [class_id])
    return bool(quality.fp.any())
