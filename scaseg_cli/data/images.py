"""Reads images and labels, with every check that needs pixels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from scaseg_cli.data.decode import opened, stored_bits
from scaseg_cli.data.label_maps import read_label_map, read_values
from scaseg_cli.data.pixels import orientation_of, rgb_of, size_of, turn_hint
from scaseg_cli.data.records import VOID, ImageRecord, LabelledSet
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image


_MARK = 64  # a PNG's header has 33 bytes; the checksum of its pixels is among the last 20
HeaderKind = Literal["16 bits", "transparency", "palette", "EXIF orientation"]


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
            _check_image_size(image, path, record, turned)
        return rgb_of(image, f"the image {path}", turned)


def check_headers_of(labelled: LabelledSet, record: ImageRecord) -> Iterator[HeaderKind | ScasegError]:
    """Read the headers of an image and its label; yields what is unusual in the image, and what is wrong."""
    path = labelled.image_path(record)
    try:
        with opened(path, "image") as image:
            _check_image_size(image, path, record, labelled.turned)
            if image.mode in ("I", "F"):  # 32 bits: what is in them decides
                rgb_of(image, f"the image {path}", labelled.turned)
            if orientation_of(image) != 1:
                yield "EXIF orientation"
            if stored_bits(image) > 8:
                yield "16 bits"
            if image.mode == "P":
                yield "palette"
            elif image.has_transparency_data:
                yield "transparency"
    except ScasegError as error:
        yield error
    if labelled.map_values is not None:  # all of them are read
        return
    path = labelled.label_path(record)
    try:
        with opened(path, "panoptic PNG") as image:
            _check_size(path, image.size, record)
            _check_has_ids(image, path)
    except ScasegError as error:
        yield error


def file_marks(labelled: LabelledSet, record: ImageRecord) -> tuple[int, int, bytes]:
    """What tells whether an image or its panoptic PNG was replaced, without decoding them.

    Returns:
        The size of the image's file in bytes. Of a panoptic PNG, also its size, and its first and last bytes: the
        header, and the checksum of the pixels.

    Raises:
        ScasegError: a file cannot be read.
    """
    path = labelled.image_path(record)
    try:
        image_bytes = os.stat(path).st_size
        if labelled.map_values is not None:
            return image_bytes, 0, b""  # the record has the digest of a label map's pixels
        path = labelled.label_path(record)
        with open(path, "rb", buffering=0) as file:
            label_bytes = os.fstat(file.fileno()).st_size
            header = os.pread(file.fileno(), _MARK, 0)
            return image_bytes, label_bytes, header + os.pread(file.fileno(), _MARK, max(0, label_bytes - _MARK))
    except OSError as error:
        raise ScasegError(f"{path} cannot be read: {error.strerror}", "Check the file and its permissions.") from error


def read_label(labelled: LabelledSet, record: ImageRecord) -> NDArray[np.int32]:
    """Read the segment id of every pixel from a panoptic PNG or a label map, int32 [H,W]; 0 is void.

    Pixels of a segment that the annotation file does not list are void.

    Raises:
        ScasegError: the label is missing or truncated, does not have the size in its record, or is a label map whose
            classes differ from those in the index.
    """
    return read_segments(labelled, record).ids_HW


class ReadLabel(NamedTuple):
    """A label, and how it differed from its annotation.

    Attributes:
        record: the image's record, with the segments that have a pixel.
        ids_HW: the segment id of every pixel, int32 [H,W]; 0 is void.
        num_empty: the number of listed segments without a pixel.
        has_unnamed: whether there were pixels of a segment that is not listed; they are void.
    """

    record: ImageRecord
    ids_HW: NDArray[np.int32]
    num_empty: int = 0
    has_unnamed: bool = False


def read_segments(labelled: LabelledSet, record: ImageRecord) -> ReadLabel:
    """Read a label as `read_label` does, with what differed from its annotation.

    Raises:
        ScasegError: as `read_label` does.
    """
    if labelled.map_values is not None:
        return ReadLabel(record, read_label_map(labelled, record))
    ids_HW = _read_panoptic(labelled, record)
    empty, unnamed = differences(ids_HW, record)
    if unnamed:
        ids_HW[np.isin(ids_HW, list(unnamed))] = VOID
    if empty:
        present = tuple(segment for segment in record.segments if segment.id not in empty)
        record = msgspec.structs.replace(record, segments=present)
    return ReadLabel(record, ids_HW, len(empty), bool(unnamed))


def differences(ids_HW: NDArray[np.int32], record: ImageRecord) -> tuple[set[int], set[int]]:
    """The listed segments without a pixel, and the segments with pixels that are not listed."""
    flat = ids_HW.ravel()
    # Labels are flat areas: collecting the changes of value is fifteen times faster than sorting all pixels.
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    found = set(flat[:1].tolist()) | set(flat[changes].tolist())
    found.discard(VOID)
    named = {segment.id for segment in record.segments}
    return named - found, found - named


def read_differences(labelled: LabelledSet, record: ImageRecord) -> tuple[set[int], set[int]]:
    """Read a panoptic PNG and return its `differences` from the annotation file.

    Raises:
        ScasegError: it is missing or truncated, or does not have the size in its record.
    """
    return differences(_read_panoptic(labelled, record), record)


def _read_panoptic(panoptic_set: LabelledSet, record: ImageRecord) -> NDArray[np.int32]:
    path = panoptic_set.label_path(record)
    with opened(path, "panoptic PNG") as image:
        _check_size(path, image.size, record)
        return _ids_in(image, path)


def _ids_in(image: Image.Image, path: Path) -> NDArray[np.int32]:
    """The segment ids [H,W] in a panoptic PNG: of three channels R + 256 G + 65536 B, of one channel the value."""
    if _check_has_ids(image, path):
        return read_values(image, path).astype(np.int32)
    return rgb_to_ids(np.array(image.convert("RGB")))


def _check_has_ids(image: Image.Image, path: Path) -> bool:
    """Check that a panoptic PNG has one or three channels of the right size; returns whether it has one."""
    bits = stored_bits(image)
    if image.mode in ("L", "1") or image.mode.startswith("I"):
        return True
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
    return False


def _check_image_size(image: Image.Image, path: Path, record: ImageRecord, turned: bool) -> None:
    """Check the size of an image; where the record has that of the image turned otherwise, the hint says so."""
    size = size_of(image, turned)
    fits_otherwise = size != _size_in(record) and size_of(image, not turned) == _size_in(record)
    _check_size(path, size, record, turn_hint(turned) if fits_otherwise else None)


def _check_size(path: Path, size: tuple[int, int], record: ImageRecord, hint: str | None = None) -> None:
    """Check the size of an image or label."""
    width, height = _size_in(record)
    if size != (width, height):
        raise ScasegError(
            f"{path} is {size[0]} x {size[1]} pixels, but the annotation file says {width} x {height} "
            f"for image {record.image_id}",
            hint or "Image, label and annotation must have the same size: download or regenerate them.",
        )


def _size_in(record: ImageRecord) -> tuple[int, int]:
    return record.width, record.height
