"""Finds images that an annotation file names without their subfolder, as Cityscapes' panoptic JSON does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from scaseg_cli.data.folders import files_below, names_in_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.data.records import LabelledSet

# csCreatePanopticImgs of cityscapesScripts names X_gtFine_leftImg8bit.png; the image is CITY/X_leftImg8bit.png.
_CITYSCAPES = ("_gtFine_leftImg8bit.", "_leftImg8bit.")


def with_located_images(labelled: LabelledSet) -> LabelledSet:
    """Give each image that is not in the folder itself its path in a subfolder, if just one file there has its name.

    Images that are not found keep their names; `check_files` reports them.

    Raises:
        ScasegError: the folder of images does not exist or cannot be read.
    """
    plain = {name for name in map(attrgetter("file_name"), labelled.images) if "/" not in name}
    if plain <= names_in_folder(labelled.images_dir, "images"):
        return labelled
    below: dict[str, list[str]] = defaultdict(list)
    for path in files_below(labelled.images_dir, "images"):
        below[path.rpartition("/")[2]].append(path)
    found = ((record, _path_of(record.file_name, below)) for record in labelled.images)
    images = tuple(
        record if path is None else msgspec.structs.replace(record, file_name=path) for record, path in found
    )
    return replace(labelled, images=images)


def _path_of(name: str, below: Mapping[str, list[str]]) -> str | None:
    for candidate in (name, name.replace(*_CITYSCAPES)):
        if len(paths := below.get(candidate, [])) == 1:
            return paths[0]
    return None
