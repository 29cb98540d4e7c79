"""The results of an image: its segment map, its overlay, and its part of the JSON in COCO's format.

Shapes: H W image, S segments.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff
from scaseg_cli.data.class_names import key_of, names_in
from scaseg_cli.drawing.class_styles import ClassStyle, palette_colour
from scaseg_cli.drawing.regions import Region, draw_regions
from scaseg_cli.shapes.world import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.prediction.model import Segments
    from scaseg_cli.prediction.vocabulary import Vocabulary

_LARGE, _SMALL = 1024, 512  # maximum and minimum length of an overlay's longer side, in pixels


def styles_of(vocabulary: Vocabulary, semantic: bool = False) -> list[ClassStyle]:
    """Return name and colour of each class: its own for classes of COCO and the embedded world, else by number.

    Args:
        vocabulary: the classes.
        semantic: uses the colours of COCO-Stuff instead of COCO panoptic.
    """
    known = {key_of(item.name): item.colour for item in (coco_stuff() if semantic else coco_panoptic())}
    known |= {key_of(item.name): item.label_colour for item in CLASSES}
    return [
        ClassStyle(
            item.name,
            known.get(key_of(names_in(item.name)[0])) or palette_colour(item.category_id),
            not item.seen,
            item.isthing,
        )
        for item in vocabulary.classes
    ]


def categories_of(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Return ``categories`` in COCO's format, with a flag for seen classes."""
    return [
        {"id": item.category_id, "name": item.name, "isthing": int(item.isthing), "seen": item.seen}
        for item in vocabulary.classes
    ]


def segments_info(segments: Segments, vocabulary: Vocabulary, semantic: bool) -> list[dict[str, Any]]:
    """Return ``segments_info`` in COCO's format, with class name and score of each segment.

    Args:
        segments: segments of one image.
        vocabulary: the classes.
        semantic: uses category ids as ids, as in a label map, instead of 1, 2 and so on.
    """
    found = []
    for number, (area, box) in enumerate(_extents(segments.map_HW, len(segments.class_index_S)), start=1):
        item = vocabulary.classes[segments.class_index_S[number - 1]]
        found.append(
            {
                "id": item.category_id if semantic else number,
                "category_id": item.category_id,
                "category": item.name,
                "isthing": int(item.isthing),
                "score": float(segments.scores[number - 1]),
                "area": area,
                "bbox": box,
                "iscrowd": 0,
            }
        )
    return found


def _extents(map_HW: NDArray[np.int32], num_segments: int) -> list[tuple[int, list[int]]]:
    """Area in pixels and box (left, top, width, height) of segments 1..S, computed from runs along the rows."""
    height, width = map_HW.shape
    changes_HW = np.ones((height, width), dtype=bool)
    changes_HW[:, 1:] = map_HW[:, 1:] != map_HW[:, :-1]
    starts = np.flatnonzero(changes_HW)
    lengths = np.diff(starts, append=height * width)
    ids, (rows, columns) = map_HW.reshape(-1)[starts], np.divmod(starts, width)
    first = np.full((2, num_segments + 1), max(height, width))
    last = np.zeros((2, num_segments + 1), dtype=np.int64)
    for axis, (begin, end) in enumerate(((columns, columns + lengths), (rows, rows + 1))):
        np.minimum.at(first[axis], ids, begin)
        np.maximum.at(last[axis], ids, end)
    areas = np.bincount(ids, lengths, minlength=num_segments + 1).astype(np.int64).tolist()
    boxes = np.concatenate([first, last - first]).T.tolist()
    return list(zip(areas, boxes, strict=True))[1:]


def id_map(segments: Segments, ids: Sequence[int]) -> NDArray[np.int32]:
    """Return the id of each pixel's segment [H, W]; 0 without a segment.

    Args:
        segments: segments of one image.
        ids: id of each segment [S].
    """
    if list(ids) == list(range(1, len(ids) + 1)):
        return segments.map_HW
    return np.array([0, *ids], dtype=np.int32)[segments.map_HW]


def draw_map(segments: Segments, ids: Sequence[int], semantic: bool) -> Image.Image:
    """Draw the map of ids, as COCO's panoptic colours R + 256 G + 65536 B or as grey values.

    Args:
        segments: segments of one image.
        ids: id of each segment [S].
        semantic: draws a label map of grey values, with 16 bits if an id is above 255.
    """
    values = id_map(segments, ids)
    if semantic:
        return Image.fromarray(values.astype(np.uint16 if max(ids) > 255 else np.uint8))
    colours = values.astype("<u4").view(np.uint8).reshape(*values.shape, 4)[..., :3]
    return Image.fromarray(np.ascontiguousarray(colours))


def draw_overlay(image_HW3: NDArray[np.uint8], segments: Segments, styles: Sequence[ClassStyle]) -> Image.Image:
    """Draw the segments over the grey image; large images are reduced, small ones enlarged."""
    map_hw = segments.map_HW
    height, width = map_hw.shape
    factor = _LARGE / max(height, width)
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        image_HW3 = np.asarray(cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA), np.uint8)
        map_hw = np.asarray(cv2.resize(map_hw, size, interpolation=cv2.INTER_NEAREST_EXACT), np.int32)
    regions = [Region(map_hw == number, styles[index]) for number, index in enumerate(segments.class_index_S, start=1)]
    return draw_regions(image_HW3, regions, max(*map_hw.shape, _SMALL))


def coco_masks(segments: Segments, info: Sequence[dict[str, Any]], image_id: int) -> list[dict[str, Any]]:
    """Return the segments in COCO's format of results, with masks as run lengths, which `COCO.loadRes` reads.

    Args:
        segments: segments of one image.
        info: their entries of `segments_info`.
        image_id: the image's id.
    """
    from pycocotools import mask as coco  # other calls need no run lengths

    found = []
    for number, item in enumerate(info, start=1):
        lengths = coco.encode(np.asfortranarray(segments.map_HW == number, np.uint8))
        found.append(
            {
                "image_id": image_id,
                "category_id": item["category_id"],
                "segmentation": {"size": [int(side) for side in lengths["size"]], "counts": lengths["counts"].decode()},
                "bbox": item["bbox"],
                "score": item["score"],
            }
        )
    return found


def as_png(image: Image.Image) -> bytes:
    """Return the image as the content of a PNG file."""
    content = BytesIO()
    image.save(content, format="PNG")
    return content.getvalue()
