"""Reads images and labels, with every check that needs pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.data.decode import opened, stored_bits
from scaseg_cli.data.label_maps import read_label_map, read_values
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.pixels import rgb_of, size_of, turn_hint
from scaseg_cli.data.records import VOID, ImageRecord, LabelledSet
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def read_image(path: Path, record: ImageRecord | None = None, turned: bool = False) -> NDArray[np.uint8]:
    """Read an image as RGB, uint8 [H,W,3], as `rgb_of` converts it.

    Args:
        path: the file.
        record: if given, the image must have the size in its record.
        turned: whether to turn the image by its EXIF orientation.

    Raises:
        ScasegError: the file is missing, truncated, not an image, has pixels without a known range, or does not have
            the size in its record.
    """
    with opened(path, "image") as image:
        if record is not None:
            _check_size(path, size_of(image, turned), record, {size_of(image, not turned): turn_hint(turned)})
        return rgb_of(image, f"the image {path}", turned)


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
        _check_size(path, image.size, record)
        ids = _ids_in(image, path)
    _check_segments(path, ids, record)
    return ids


def _ids_in(image: Image.Image, path: Path) -> NDArray[np.int32]:
    """The segment ids [H,W] in a panoptic PNG: of three channels R + 256 G + 65536 B, of one channel the value."""
    bits = stored_bits(image)
    if image.mode in ("L", "1") or image.mode.startswith("I"):
        return read_values(image, path).astype(np.int32)
    if bits > 8:  # Pillow drops the lower half
        raise ScasegError(
            f"the panoptic PNG {path} has {bits} bits per channel, not 8",
            "Encode the segment id in RGB as R + 256 G + 65536 B.",
        )
    if image.mode not in ("RGB", "RGBA", "P"):
        raise ScasegError(
            f"the panoptic PNG {path} has pixels of mode {image.mode}, not RGB",
            "Encode the segment id in RGB as R + 256 G + 65536 B.",
        )
    return rgb_to_ids(np.array(image.convert("RGB")))


def _check_size(
    path: Path,
    size: tuple[int, int],
    record: ImageRecord,
    hints: Mapping[tuple[int, int], str] | None = None,
) -> None:
    """Check the size of an image or label; ``hints`` are for sizes that the record may have instead."""
    wanted = (record.width, record.height)
    if size == wanted:
        return
    plain = "Image, label and annotation must have the same size: download or regenerate them."
    raise ScasegError(
        f"{path} is {size[0]} x {size[1]} pixels, but the annotation file says {wanted[0]} x {wanted[1]} "
        f"for image {record.image_id}",
        (hints or {}).get(wanted, plain),
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
