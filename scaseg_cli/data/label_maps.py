"""Reads a label map: one value per pixel, or one colour per pixel where the data has a table of colours.

Values are class ids (MMSegmentation's convention), or those of COCO-Stuff's own maps. Shape letters: H, W pixels.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaseg_cli.data.decode import opened, stored_bits
from scaseg_cli.data.records import MAX_MAP_VALUE, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from PIL import Image

    from scaseg_cli.data.map_colours import ColourTable

MapPixels = NDArray[np.uint8] | NDArray[np.uint16]
_SHOWN = 5


def read_map(
    path: Path,
    size: tuple[int, int],
    size_of: str,
    colours: ColourTable | None = None,
    hints: Mapping[tuple[int, int], str] | None = None,
) -> MapPixels:
    """Read the values of a label map, [H,W], 8 or 16 bits each.

    Of a palette image these are the indices. Three equal channels are one.

    Args:
        path: the PNG, TIFF or BMP.
        size: required W, H.
        size_of: what has that size, for the error message ("its image a.jpg").
        colours: for maps painted in colours; the values are then places in this table.
        hints: hints of the error for other sizes that the map may have.

    Raises:
        ScasegError: the file is missing or truncated, has another size, or is not one value of at most 16 bits per
            pixel; or it has colours that are not in the table.
    """
    with opened(path, "label map") as image:
        if image.format == "JPEG":
            raise ScasegError(
                f"the label map {path} is a JPEG, whose compression changes class ids", "Write label maps as PNG."
            )
        if image.size != size:
            raise ScasegError(
                f"the label map {path} is {image.width} x {image.height} pixels, but {size_of} is "
                f"{size[0]} x {size[1]}",
                (hints or {}).get(
                    image.size, "Image and label map must have the same size: download or regenerate them."
                ),
            )
        if colours is not None:
            return colours.read(np.array(image.convert("RGB")), path)
        return read_values(image, path)


def read_values(image: Image.Image, path: Path) -> MapPixels:
    """The values of an opened label, [H,W], 8 or 16 bits each.

    Raises:
        ScasegError: it is not one value of at most 16 bits per pixel.
    """
    mode, bits = image.mode, stored_bits(image)
    # np.array, not asarray: the copy makes decoding happen while the file is open.
    if mode == "L" and bits in (2, 4):  # Pillow spreads them over 0..255
        return np.array(image) // np.uint8(255 // (2**bits - 1))
    if mode in ("L", "P", "1"):
        return np.array(image, dtype=np.uint8)
    if mode.startswith("I"):  # 16 bits; some Pillow versions open them as 32
        values_HW: NDArray[Any] = np.array(image)
        if values_HW.min() < 0 or values_HW.max() > MAX_MAP_VALUE:
            raise ScasegError(
                f"the label map {path} has values from {values_HW.min()} to {values_HW.max()}",
                f"Class ids are at most {MAX_MAP_VALUE - 1}.",
            )
        return values_HW.astype(np.uint16)
    if mode in ("RGB", "RGBA", "LA") and bits <= 8:
        channels_HWC = np.array(image)
        num_colours = 1 if mode == "LA" else 3
        grey_HW = channels_HWC[..., 0]
        is_opaque = (channels_HWC[..., num_colours:] == 255).all()
        if is_opaque and all((channels_HWC[..., place] == grey_HW).all() for place in range(1, num_colours)):
            return np.ascontiguousarray(grey_HW)
    raise ScasegError(
        f"the label map {path} has pixels of mode {mode}, not one class id of 8 or 16 bits",
        "For maps painted in colours, set data.colours to a table of colours and class names. COCO's panoptic PNGs are "
        "for task zps.",
    )


def count_values(values_HW: MapPixels) -> dict[int, int]:
    """Count the pixels of each value that occurs, in the order of the values."""
    flat = values_HW.ravel()
    # Label maps are flat areas: adding up runs of one value is five times faster than counting pixels.
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    counts = np.bincount(flat[starts], weights=np.diff(starts, append=flat.size)).astype(np.int64)
    present = np.flatnonzero(counts)
    return dict(zip(present.tolist(), counts[present].tolist(), strict=True))


def digest_of(values_HW: MapPixels) -> str:
    """The digest of a label map's pixels; the same pixels in another file have the same."""
    return hashlib.sha256(np.ascontiguousarray(values_HW).data).hexdigest()[:32]


def segments_of(counts: dict[int, int], labelled: LabelledSet, path: Path) -> tuple[Segment, ...]:
    """Make one segment for each class in a label map, in the order of the class ids.

    Args:
        counts: the result of `count_values`.
        labelled: the set, for its classes.
        path: the label map, for the error message.

    Raises:
        ScasegError: the map contains values that are not classes.
    """
    areas: dict[int, int] = {}
    strange = []
    for value, count in counts.items():
        segment_id = int(labelled.segment_ids[value])
        if segment_id < 0:
            strange.append(value)
        elif segment_id:
            areas[segment_id] = areas.get(segment_id, 0) + count
    if strange:
        raise _beyond_classes(counts, strange, labelled, path)
    return tuple(Segment(segment_id, segment_id - 1, area, 0) for segment_id, area in sorted(areas.items()))


def _beyond_classes(counts: dict[int, int], values: list[int], labelled: LabelledSet, path: Path) -> ScasegError:
    shown = ", ".join(f"{value} ({counts[value]} pixels)" for value in values[:_SHOWN])
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    if is_raw(labelled):
        which = "which are not ids of COCO-Stuff's own label maps"
        hint = "Name maps of the contiguous ids 0..170 NAME_labelTrainIds.png."
    else:
        which = f"which are not among the {len(labelled.categories)} classes"
        ignored = [*labelled.ignored, *values[:_SHOWN]]
        hint = (
            f"If they are classes, add them to data.categories. If they are no class, set data.ignored to {ignored}; "
            "255 is always ignored."
        )
    return ScasegError(f"the label map {path} contains the values {shown}{more}, {which}", hint)


def is_raw(labelled: LabelledSet) -> bool:
    """Whether the label map values differ from the category ids, as in COCO-Stuff's own maps."""
    return labelled.colours is None and labelled.map_values != tuple(category.id for category in labelled.categories)


def read_label_map(labelled: LabelledSet, record: ImageRecord) -> NDArray[np.int32]:
    """Read the segment id of every pixel, int32 [H,W]; 0 is void.

    Raises:
        ScasegError: the label map cannot be read, does not have the size in its record, or its classes or pixel counts
            have changed since the split.
    """
    path = labelled.label_path(record)
    size = (record.width, record.height)
    values = read_map(path, size, f"its image {record.file_name}", labelled.colours)
    is_known = record.label_digest in (None, digest_of(values))
    if not is_known or segments_of(count_values(values), labelled, path) != record.segments:
        raise ScasegError(
            f"the label map {path} has changed since the data was split",
            "Run `scaseg split-dataset` again.",
        )
    return np.take(labelled.segment_ids, values)
