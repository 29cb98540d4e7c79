"""`scaseg convert regions`: from the label maps of a recipe to panoptic JSON and PNGs. Shape: H W image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from scaseg_cli.conversion.output import Conversion, PanopticOutput, segment_info
from scaseg_cli.data.folders import data_root
from scaseg_cli.data.images import read_label
from scaseg_cli.data.prefetch import num_cores, prefetched
from scaseg_cli.data.semantic import scan_semantic_set
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_value
from scaseg_cli.results.console import meter, say
from scaseg_cli.split.lists import own_parts, part_source, turns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.data.records import Category, ImageRecord, LabelledSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_MADE_BY = "scaseg convert regions"
_NEIGHBOURS = 8  # pixels that touch at a corner are of one region


class _Converted(NamedTuple):
    """One image: its segments, and the regions that were too small."""

    record: ImageRecord
    label_name: str
    segments: list[dict[str, Any]]
    num_small: int


def convert_regions(
    recipe: Recipe, run: RunDir, output: Path, things: Sequence[str] | None = None, least: int = 1
) -> list[Conversion]:
    """Convert the label maps of each part of a recipe's data to COCO's panoptic format.

    Each connected region of a thing class becomes a segment. A stuff class becomes one segment per image. Objects that
    touch become one: a label map does not tell them apart. An interrupted conversion continues.

    Args:
        recipe: a recipe with label maps.
        run: its run folder, for the place of the data.
        output: the folder to write ``panoptic_PART.json`` and the folders of PNGs into.
        things: names of the classes that are things; None: as the list of classes says.
        least: pixels of the smallest region of a thing that is kept; smaller ones become void.

    Raises:
        ScasegError: the recipe has no label maps, they are wrong, a name in ``things`` is not a class, no class is a
            thing, or the output has something else in it.
    """
    if recipe.data.categories is None:
        raise ScasegError(
            f"the recipe {recipe.name} has no label maps: data.categories is null", "Take a recipe of task zss."
        )
    root, data = data_root(recipe, run), recipe.data
    done = []
    for part in own_parts(recipe):
        source = part_source(recipe, part)
        labelled = scan_semantic_set(
            root, source, recipe.data.categories, part, data.ignored, data.colours, turns(recipe)
        )
        done.append(_convert(labelled, output / f"panoptic_{part}.json", _isthing(labelled.categories, things), least))
    return done


def _isthing(categories: Sequence[Category], things: Sequence[str] | None) -> dict[int, bool]:
    """Whether each class is a thing, by id."""
    if things is not None:
        unknown = [name for name in things if name not in {category.name for category in categories}]
        if unknown:
            raise ScasegError(
                f"--things names classes that the data lacks: {', '.join(map(repr, unknown))}",
                "Spell them as in the list of classes.",
            )
    found = {item.id: item.isthing if things is None else item.name in things for item in categories}
    if not any(found.values()):
        raise ScasegError(
            "no class is a thing, so no region would be a segment of its own",
            "Name the things with --things, or set isthing to 1 in the list of classes.",
        )
    return found


def _convert(labelled: LabelledSet, json_file: Path, isthing: dict[int, bool], least: int) -> Conversion:
    made_from = [[record.file_name, record.label_digest] for record in labelled.images]
    place = PanopticOutput(json_file, _MADE_BY, hash_value([made_from, sorted(isthing.items()), least]))
    notes = (f"Small: regions of fewer than {least} pixels, which are void.",) if least > 1 else ()
    if (finished := place.begin()) is not None:
        say(f"{json_file} is already converted")
        return Conversion(json_file, place.labels, finished, notes)
    images, annotations = [], []
    counts = {"images": 0, "segments": 0, "small": 0}
    with meter("converting", len(labelled.images)) as shown:
        convert = partial(_convert_image, labelled, place, isthing, least)
        for found in prefetched(convert, labelled.images, num_cores()):
            record = found.record
            size = {"width": record.width, "height": record.height}
            images.append({"id": record.image_id, "file_name": record.file_name, **size})
            annotations.append(
                {"image_id": record.image_id, "file_name": found.label_name, "segments_info": found.segments}
            )
            counts["images"] += 1
            counts["segments"] += len(found.segments)
            counts["small"] += found.num_small
            shown.advance()
    categories = [
        {"id": item.id, "name": item.name, "isthing": int(isthing[item.id])}
        | ({"color": list(item.colour)} if item.colour is not None else {})
        for item in labelled.categories
    ]
    place.finish(images, annotations, categories, counts)
    return Conversion(json_file, place.labels, counts, notes)


def _convert_image(
    labelled: LabelledSet, place: PanopticOutput, isthing: dict[int, bool], least: int, record: ImageRecord
) -> _Converted:
    classes_HW = read_label(labelled, record)
    ids_HW = np.zeros(classes_HW.shape, np.uint32)
    segments: list[dict[str, Any]] = []
    num_small = 0
    for of_class in record.segments:
        mask_HW = classes_HW == of_class.id
        regions_HW, count = mask_HW.astype(np.int32), 2
        if isthing[of_class.category_id]:
            count, regions_HW = cv2.connectedComponents(mask_HW.astype(np.uint8), connectivity=_NEIGHBOURS)
        for region in range(1, count):
            region_HW = regions_HW == region
            if isthing[of_class.category_id] and region_HW.sum() < least:
                num_small += 1
                continue
            segments.append(segment_info(region_HW, len(segments) + 1, of_class.category_id))
            ids_HW[region_HW] = len(segments)
    label_name = f"{record.label_name.rpartition('.')[0]}.png"
    place.write_label(label_name, ids_HW)
    return _Converted(record, label_name, segments, num_small)
