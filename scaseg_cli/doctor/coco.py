"""COCO 2017 and COCO-Stuff as published: numbers of images, and the archives that contain them.

Archives and sizes are from the pages of COCO and COCO-Stuff.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HOST = "http://images.cocodataset.org"
_STUFF = "http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip"
_COUNTS = {"train2017": 118_287, "val2017": 5_000}
_SIZES = {"train2017.zip": "18 GB", "val2017.zip": "1 GB", "stuffthingmaps_trainval2017.zip": "659 MB"}
_PANOPTIC = "panoptic_annotations_trainval2017.zip"
_SUBSET = re.compile(r"(?:^|_)(train2017|val2017)(?:\.json)?$")
NUM_CLASSES = 133  # of the panoptic annotations


def published_count(path: Path) -> int | None:
    """Number of images of the COCO set in the name of ``path`` (val2017, panoptic_train2017.json); None: not COCO."""
    found = _SUBSET.search(path.name)
    return _COUNTS[found[1]] if found else None


def fetch_images(folder: Path) -> str | None:
    """The command that downloads ``folder``, COCO's train2017 or val2017; None for other folders."""
    if folder.name not in _COUNTS:
        return None
    return _unzipped(folder.parent / f"{folder.name}.zip", folder.parent, f"{_HOST}/zips/{folder.name}.zip")


def fetch_annotations(path: Path) -> str | None:
    """The command that downloads COCO's panoptic JSON to ``path``; None for other files."""
    if path.name not in ("panoptic_train2017.json", "panoptic_val2017.json") or path.parent.name != "annotations":
        return None
    root = path.parent.parent
    return _unzipped(root / _PANOPTIC, root, f"{_HOST}/annotations/{_PANOPTIC}")


def fetch_panoptic_labels(folder: Path) -> str | None:
    """The commands that unpack the panoptic PNGs from an archive inside the annotations' archive; None: not COCO."""
    inner, annotations = folder.parent / f"{folder.name}.zip", folder.parent / f"{folder.name}.json"
    outer = fetch_annotations(annotations)
    if outer is None:
        return None
    unzip = _unzip(inner, folder.parent)
    if inner.is_file():
        return unzip
    # If the annotations are missing too, their row shows the download, which includes this archive.
    return f"{outer}\n{unzip}" if annotations.is_file() else f"{unzip}  # which comes with {_PANOPTIC}"


def fetch_label_maps(folder: Path) -> str | None:
    """The command that downloads a folder of COCO-Stuff's label maps; None for other folders."""
    if folder.name not in _COUNTS:
        return None
    place = folder.parent
    return _unzipped(place.parent / "stuffthingmaps_trainval2017.zip", place, _STUFF)


def _unzipped(archive: Path, into: Path, url: str) -> str:
    unzip = _unzip(archive, into)
    # -c and -n: resume an interrupted download, and unpack only what is missing
    if archive.is_file():
        return unzip
    size = f"  # {_SIZES[archive.name]}" if archive.name in _SIZES else ""
    return f"wget -c -P {shlex.quote(str(archive.parent))} {url} && {unzip}{size}"


def _unzip(archive: Path, into: Path) -> str:
    return f"unzip -q -n {shlex.quote(str(archive))} -d {shlex.quote(str(into))}"
