"""`scaseg convert instances`: from COCO's instance annotations to panoptic JSON and PNGs. Shapes: H W image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scaseg_cli.conversion.instance_file import (
    Instance,
    InstanceCategory,
    InstanceImage,
    read_instances,
)
from scaseg_cli.conversion.outlines import mask_of
from scaseg_cli.conversion.output import Conversion, PanopticOutput, segment_info
from scaseg_cli.data.prefetch import num_cores, prefetched
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file, hash_value
from scaseg_cli.results.console import meter, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_MADE_BY = "scaseg convert instances"
_NOTE = "Left out: images without an object, objects that others hide, and objects with a box alone."


class _Painted(NamedTuple):
    """One image's PNG, which may exist already, and its segments."""

    image: InstanceImage
    segments: list[dict[str, Any]]
    num_hidden: int


def convert_instances(source: Path, output: Path, stuff: Sequence[str] = ()) -> Conversion:
    """Convert COCO's instance annotations to COCO's panoptic format.

    Where objects overlap, the smaller one is on top; crowd regions are below all others. Pixels of no object are void.
    Every class is a thing, except those in ``stuff``, whose objects become one segment per image. An interrupted
    conversion continues with the images that are missing.

    Args:
        source: the instance JSON.
        output: the panoptic JSON to write; the PNGs go into the folder of its name without ``.json``.
        stuff: names of the classes that are stuff.

    Raises:
        ScasegError: the source is wrong, a name in ``stuff`` is not a class, or the output has something else in it.
    """
    if output.suffix != ".json":
        raise ScasegError(f"--output {output} does not end with .json", "Name the panoptic JSON; PNGs go beside it.")
    found = read_instances(source)
    things = _things(found.categories, stuff)
    place = PanopticOutput(output, _MADE_BY, hash_value([hash_file(source), sorted(stuff)]))
    if (finished := place.begin()) is not None:
        say(f"{output} is already converted from {source}")
        return Conversion(output, place.labels, finished, (_NOTE,))
    images, annotations = [], []
    counts = {"images": 0, "without_objects": 0, "segments": 0, "crowds": 0, "hidden": 0}
    counts["without_outline"] = found.num_without_outline
    with meter("converting", len(found.images)) as shown:

        def paint(image: InstanceImage) -> _Painted:
            return _paint(image, found.instances.get(image.id, []), things, place)

        for painted in prefetched(paint, found.images, num_cores()):
            shown.advance()
            counts["hidden"] += painted.num_hidden
            if not painted.segments:
                counts["without_objects"] += 1
                continue
            image, segments = painted.image, painted.segments
            images.append({"id": image.id, "file_name": image.file_name, "width": image.width, "height": image.height})
            annotations.append({"image_id": image.id, "file_name": image.label_name, "segments_info": segments})
            counts["images"] += 1
            counts["segments"] += len(segments)
            counts["crowds"] += sum(segment["iscrowd"] for segment in segments)
    if not images:
        raise ScasegError(f"no image of {source} has an object with an outline", "Give COCO's instance format.")
    place.finish(images, annotations, [_category(item, things) for item in found.categories], counts)
    return Conversion(output, place.labels, counts, (_NOTE,))


def _things(categories: Sequence[InstanceCategory], stuff: Sequence[str]) -> dict[int, bool]:
    """Whether each category is a thing."""
    known = {category.name for category in categories}
    unknown = [name for name in stuff if name not in known]
    if unknown:
        raise ScasegError(
            f"--stuff names classes that the data lacks: {', '.join(map(repr, unknown))}",
            "Spell them as in the annotation file.",
        )
    return {category.id: category.name not in set(stuff) for category in categories}


def _category(category: InstanceCategory, things: Mapping[int, bool]) -> dict[str, Any]:
    item = {"id": category.id, "name": category.name, "isthing": int(things[category.id])}
    return item | ({} if category.supercategory is None else {"supercategory": category.supercategory})


def _paint(
    image: InstanceImage, instances: list[Instance], things: Mapping[int, bool], place: PanopticOutput
) -> _Painted:
    """Paint one image's segments, and write its PNG unless it exists."""
    map_HW = np.zeros((image.height, image.width), np.uint32)
    segments = _segments(image, instances, things)
    for number, segment in enumerate(segments, start=1):
        map_HW[segment.mask_HW] = number
    kept = [
        segment_info(map_HW == number, number, segment.category_id, segment.iscrowd)
        for number, segment in enumerate(segments, start=1)
        if (map_HW == number).any()
    ]
    if kept:
        place.write_label(image.label_name, map_HW)
    return _Painted(image, kept, len(segments) - len(kept))


class _Segment(NamedTuple):
    category_id: int
    iscrowd: int
    mask_HW: NDArray[np.bool_]


def _segments(image: InstanceImage, instances: list[Instance], things: Mapping[int, bool]) -> list[_Segment]:
    """The segments in the order in which they are painted: crowd regions, then from large to small."""
    found: list[_Segment] = []
    stuff: dict[int, NDArray[np.bool_]] = {}
    for item in instances:
        assert item.segmentation is not None  # the others are counted apart
        mask_HW = mask_of(item.segmentation, image.width, image.height)
        if things[item.category_id]:
            found.append(_Segment(item.category_id, item.iscrowd, mask_HW))
        else:
            stuff[item.category_id] = stuff.get(item.category_id, False) | mask_HW
    found += [_Segment(category_id, 0, mask_HW) for category_id, mask_HW in stuff.items()]
    return sorted(found, key=lambda segment: (-segment.iscrowd, -int(segment.mask_HW.sum())))
