"""Reads a label map: a PNG with one class id per pixel (MMSegmentation's convention), or COCO-Stuff's own maps.

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
# Pillow's modes. A palette image is read as its indices; older versions open 16 bits as "I".
_MODES = {"L": np.uint8, "P": np.uint8, "I;16": np.uint16, "I": np.uint16}
_SHOWN = 5


def read_map(path: Path, size: tuple[int, int], size_of: str) -> MapPixels:
    """Read the values of a label map, [H,W], 8 or 16 bits each.

    Args:
        path: the PNG.
        size: required W, H.
        size_of: what has that size, for the error message ("its image a.jpg").

    Raises:
        ScasegError: the file is missing or truncated, has another size, or is not one value of 8 or 16 bits per pixel.
    """
    with opened(path, "label map") as image:
        if image.mode not in _MODES:
            raise _not_a_map(path, image)
        if image.size != size:
            raise ScasegError(
                f"the label map {path} is {image.width} x {image.height} pixels, but {size_of} is "
                f"{size[0]} x {size[1]}",
                "Image and label map must have the same size: download or regenerate them.",
            )
        # np.array, not asarray: the copy makes decoding happen inside this block.
        return np.array(image, dtype=_MODES[image.mode])


def _not_a_map(path: Path, image: Image.Image) -> ScasegError:
    return ScasegError(
        f"the label map {path} has pixels of mode {image.mode}, not one class id of 8 or 16 bits",
        "Convert colour images to class ids first; COCO's panoptic PNGs are for task zps.",
    )


def count_values(values_HW: MapPixels) -> dict[int, int]:
    """Count the pixels of each value that occurs, in the order of the values."""
    flat = values_HW.ravel()
    # Label maps are flat areas: adding up runs of one value is five times faster than counting pixels.
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    counts = np.bincount(flat[starts], weights=np.diff(starts, append=flat.size)).astype(np.int64)
    present = np.flatnonzero(counts)
    return dict(zip(present.tolist(), counts[present].tolist(), strict=True))


def segments_of(
    counts: dict[int, int], labelled: LabelledSet, path: Path, size: tuple[int, int]
) -> tuple[Segment, ...]:
    """Make one segment for each class in a label map, in the order of the class ids.

    Args:
        counts: the result of `count_values`.
        labelled: the set, for its classes.
        path: the label map, for the error message.
        size: W, H.

    Raises:
        ScasegError: the map contains values that are not classes.
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
        which = "which are not ids of COCO-Stuff's own label maps"
        hint = "Name maps of the contiguous ids 0..170 NAME_labelTrainIds.png."
    else:
        which = f"which are not among the {len(labelled.categories)} classes"
        hint = f"Check data.categories in the recipe; pixels without a class are {IGNORED}."
    return ScasegError(f"the label map {path} contains the values {shown}{more}, {which}", hint)


def is_raw(labelled: LabelledSet) -> bool:
    """Whether the label map values differ from the category ids, as in COCO-Stuff's own maps."""
    return labelled.map_values != tuple(category.id for category in labelled.categories)


def read_label_map(labelled: LabelledSet, record: ImageRecord) -> NDArray[np.int32]:
    """Read the segment id of every pixel, int32 [H,W]; 0 is void.

    Raises:
        ScasegError: the label map cannot be read, does not have the size in its record, or its classes or pixel counts
            have changed since the split.
    """
    path = labelled.label_path(record)
    size = (record.width, record.height)
    values = read_map(path, size, f"its image {record.file_name}")
    if segments_of(count_values(values), labelled, path, size) != record.segments:
        raise ScasegError(
            f"the label map {path} has changed since the data was split",
            "Run `scaseg split-dataset` again.",
        )
    return np.take(labelled.segment_ids, values)
