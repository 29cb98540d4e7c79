"""Reads images and labels, with every check that needs pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.data.decode import opened, stored_bits
from scaseg_cli.data.label_maps import read_label_map
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.records import VOID, ImageRecord, LabelledSet
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image


def ids_to_rgb(ids_HW: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Encode segment ids [H,W] as the colours [H,W,3] of a panoptic PNG: id = R + 256 G + 65536 B (COCO)."""
    return np.stack([ids_HW & 255, ids_HW >> 8 & 255, ids_HW >> 16 & 255], axis=-1).astype(np.uint8)


def rgb_to_ids(rgb_HW3: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Decode the colours [H,W,3] of a panoptic PNG to segment ids [H,W]; 0 is void."""
    ids = rgb_HW3[..., 2].astype(np.int32)
    for channel in (1, 0):
        ids <<= 8
        ids |= rgb_HW3[..., channel]
    return ids


def read_image(path: Path, record: ImageRecord | None = None) -> NDArray[np.uint8]:
    """Read an image as RGB, uint8 [H,W,3]. EXIF rotation is ignored, as in COCO's annotations.

    Args:
        path: the file.
        record: if given, the image must have the size in its record.

    Raises:
        ScasegError: the file is missing, truncated, not an image, or does not have the size in its record.
    """
    with opened(path, "image") as image:
        return _pixels_of(image, path, record)


def read_label(labelled: LabelledSet, record: ImageRecord) -> NDArray[np.int32]:
    """Read the segment id of every pixel from a panoptic PNG or a label map, int32 [H,W]; 0 is void.

    Raises:
        ScasegError: the PNG is missing or truncated, does not have the size in its record, or its segments differ from
            those in the annotation file or the label map index.
    """
    return _read_panoptic(labelled, record) if labelled.map_values is None else read_label_map(labelled, record)


def _read_panoptic(panoptic_set: LabelledSet, record: ImageRecord) -> NDArray[np.int32]:
    path = panoptic_set.label_path(record)
    with opened(path, "panoptic PNG") as image:
        if (bits := stored_bits(image)) > 8:  # Pillow drops the lower half
            raise ScasegError(
                f"the panoptic PNG {path} of image {record.image_id} has {bits} bits per channel, not 8",
                "Encode the segment id in RGB as R + 256 G + 65536 B.",
            )
        if image.mode not in ("RGB", "RGBA", "P"):
            raise ScasegError(
                f"the panoptic PNG {path} of image {record.image_id} has pixels of mode {image.mode}, not RGB",
                "Encode the segment id in RGB as R + 256 G + 65536 B.",
            )
        ids = rgb_to_ids(_pixels_of(image, path, record))
    _check_segments(path, ids, record)
    return ids


def _pixels_of(image: Image.Image, path: Path, record: ImageRecord | None) -> NDArray[np.uint8]:
    """Decode an opened image as RGB [H,W,3], after the size that its header announces was compared with the record."""
    if record is not None:
        _check_size(path, image.size, record)
    # np.array, not asarray: the copy is writable.
    pixels = np.array(image.convert("RGB"))
    if record is not None:
        _check_size(path, (pixels.shape[1], pixels.shape[0]), record)
    return pixels


def _check_size(path: Path, size: tuple[int, int], record: ImageRecord) -> None:
    width, height = size
    if size != (record.width, record.height):
        raise ScasegError(
            f"{path} is {width} x {height} pixels, but the annotation file says {record.width} x {record.height} "
            f"for image {record.image_id}",
            "Image, label and annotation must have the same size: download or regenerate them.",
        )


def _check_segments(path: Path, ids: NDArray[np.int32], record: ImageRecord) -> None:
    flat = ids.ravel()
    # Labels are flat areas: collecting the changes of value is fifteen times faster than sorting all pixels.
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    found = set(flat[:1].tolist()) | set(flat[changes].tolist())
    found.discard(VOID)
    named = {segment.id for segment in record.segments}
    if found == named:
        return
    mistakes = Mistakes(f"the panoptic PNG {path} of image {record.image_id}")
    for segment_id in sorted(named - found):
        mistakes.add(f"it has no pixel of segment {segment_id}, which is in the annotation file")
    for segment_id in sorted(found - named):
        mistakes.add(f"it has pixels of segment {segment_id}, which is not in the annotation file")
    mistakes.stop_if_any("The PNG and the annotation file do not match: download or regenerate both.")
