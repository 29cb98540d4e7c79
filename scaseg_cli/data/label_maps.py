"""Reading one label map: a PNG of one class id a pixel (MMSegmentation's convention), or COCO-Stuff's own.

Shape letters: H, W pixels of the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scaseg_cli.data.decode import opened
from scaseg_cli.data.records import IGNORED, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

MapPixels = NDArray[np.uint8] | NDArray[np.uint16]
# Pillow's words. Of a palette image the indices are read; "I" is what older versions make of 16 bits.
_MODES = {"L": np.uint8, "P": np.uint8, "I;16": np.uint16, "I": np.uint16}
_SHOWN = 5


def read_map(path: Path, size: tuple[int, int], size_of: str) -> MapPixels:
    """The values of a label map, [H,W], of 8 or 16 bits.

    Args:
        path: the PNG.
        size: W, H that it must have.
        size_of: what has that size, for the error ("its image a.jpg").

    Raises:
        ScasegError: missing, cut short, of another size, or not one value of 8 or 16 bits a pixel.
    """
    with opened(path, "label map") as image:
        if image.mode not in _MODES:
            raise _not_a_map(path, image)
        if image.size != size:
            raise ScasegError(
                f"the label map {path} is {image.width} x {image.height} pixels, but {size_of} is "
                f"{size[0]} x {size[1]}",
                "Image and label map must be of the same size: fetch or make them again.",
            )
        # np.array and not asarray: a copy, so that decoding happens in here.
        return np.array(image, dtype=_MODES[image.mode])


def _not_a_map(path: Path, image: Image.Image) -> ScasegError:
    return ScasegError(
        f"the label map {path} has pixels of mode {image.mode}, not one class id of 8 or 16 bits",
        "A picture in colours has to be turned into class ids first; COCO's panoptic PNGs serve task zps.",
    )


def count_values(values_HW: MapPixels) -> dict[int, int]:
    """How many pixels have each of the values that occur, in the order of the values."""
    flat = values_HW.ravel()
    # Label maps are flat areas: to add up runs of one value is five times faster than to count pixels.
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    counts = np.bincount(flat[starts], weights=np.diff(starts, append=flat.size)).astype(np.int64)
    present = np.flatnonzero(counts)
    return dict(zip(present.tolist(), counts[present].tolist(), strict=True))


def segments_of(
    counts: dict[int, int], labelled: LabelledSet, path: Path, size: tuple[int, int]
) -> tuple[Segment, ...]:
    """One segment for each class that a label map holds, in the order of their ids.

    Args:
        counts: what `count_values` found.
        labelled: the set, for its classes.
        path: the label map, for the error.
        size: W, H.

    Raises:
        ScasegError: it holds values that are no class.
    """
    ids = {value: int(labelled.segment_ids[value]) for value in counts if value != IGNORED}
    if any(segment_id < 0 for segment_id in ids.values()):
        raise _beyond_classes(counts, [value for value, segment_id in ids.items() if segment_id < 0], labelled, path)
    whole = (0, 0, *size)
    return tuple(
        Segment(segment_id, segment_id - 1, counts[value], whole, 0)
        for segment_id, value in sorted((segment_id, value) for value, segment_id in ids.items())
    )


def _beyond_classes(counts: dict[int, int], values: list[int], labelled: LabelledSet, path: Path) -> ScasegError:
    shown = ", ".join(f"{value} ({counts[value]} pixels)" for value in values[:_SHOWN])
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    if is_raw(labelled):
        which = "which are no ids of COCO-Stuff's own label maps"
        hint = "Maps of the contiguous ids 0..170 are taken for such where they are called NAME_labelTrainIds.png."
    else:
        which = f"which are none of the {len(labelled.categories)} classes"
        hint = f"Check data.categories in the recipe; pixels without a class are {IGNORED}."
    return ScasegError(f"the label map {path} holds the values {shown}{more}, {which}", hint)


def is_raw(labelled: LabelledSet) -> bool:
    """Whether the set's label maps hold other values than its category ids: COCO-Stuff's own maps."""
    return labelled.map_values != tuple(category.id for category in labelled.categories)


def read_label_map(labelled: LabelledSet, record: ImageRecord) -> NDArray[np.int32]:
    """The segment id of every pixel, int32 [H,W], 0 where there is none.

    Raises:
        ScasegError: the label map cannot be read, is of another size than its image's record, or holds other classes
            or pixel counts than when the data was split.
    """
    path = labelled.label_path(record)
    size = (record.width, record.height)
    values = read_map(path, size, f"its image {record.file_name}")
    if segments_of(count_values(values), labelled, path, size) != record.segments:
        raise ScasegError(
            f"the label map {path} is not the one that was there when the data was split",
            "Run `scaseg split-dataset` again.",
        )
    return np.take(labelled.segment_ids, values)
