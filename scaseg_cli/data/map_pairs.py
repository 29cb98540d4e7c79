"""Matches label maps to images by the file names in two folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from scaseg_cli.data.folders import files_in
from scaseg_cli.errors import ScasegError

TRAIN_IDS = "_labelTrainIds"  # MMSegmentation's suffix of converted maps: NAME_labelTrainIds.png belongs to NAME.jpg
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_SHOWN = 5


class Pair(NamedTuple):
    """An image's file name and its label map's, each relative to its folder."""

    image: str
    label: str


class Pairs(NamedTuple):
    """All pairs in the order of the image names, and whether the label map names end in `TRAIN_IDS`."""

    pairs: tuple[Pair, ...]
    are_train_ids: bool


def pair_files(images_dir: Path, labels_dir: Path) -> Pairs:
    """Match each image of ``images_dir`` with its label map in ``labels_dir``; both may be the same folder.

    If any label map is named NAME_labelTrainIds.png, all other PNGs in the folder are ignored: the converter writes
    its maps next to COCO-Stuff's own.

    Raises:
        ScasegError: a folder is missing or empty, two images have the same name, images lack label maps, or label maps
            lack images; counts them and names the first few.
    """
    found = sorted(name for name in files_in(labels_dir, "label maps") if _is_png(name))
    marked = {Path(name).stem.removesuffix(TRAIN_IDS): name for name in found if Path(name).stem.endswith(TRAIN_IDS)}
    same_folder = images_dir.resolve() == labels_dir.resolve()
    images = _images(images_dir, marked=bool(marked), with_labels=same_folder)
    labels = marked or {Path(name).stem: name for name in found}
    if not labels:
        raise ScasegError(f"the folder of label maps {labels_dir} contains no PNG", "Check `labels` in the recipe.")
    _check_complete(images, labels, images_dir, labels_dir)
    return Pairs(tuple(Pair(image, labels[stem]) for stem, image in images.items()), bool(marked))


def _is_png(name: str) -> bool:
    return name.lower().endswith(".png") and not name.startswith(".")


def _images(folder: Path, marked: bool, with_labels: bool) -> dict[str, str]:
    """Image names by stem, in the order of the names, without the label maps in the same folder."""
    names = [
        name
        for name in sorted(files_in(folder, "images"))
        if name.lower().endswith(_IMAGE_SUFFIXES)
        and not name.startswith(".")
        and not (with_labels and _is_png(name) and (not marked or Path(name).stem.endswith(TRAIN_IDS)))
    ]
    if not names:
        raise ScasegError(
            f"the folder of images {folder} contains no image ({', '.join(_IMAGE_SUFFIXES)})",
            "Check `images` in the recipe.",
        )
    twice = [stem for stem, count in Counter(Path(name).stem for name in names).items() if count > 1]
    if twice:
        raise ScasegError(
            f"the folder of images {folder} contains {_few(twice)} twice, with different suffixes",
            "A label map belongs to one image: remove the others.",
        )
    return {Path(name).stem: name for name in names}


def _check_complete(images: dict[str, str], labels: dict[str, str], images_dir: Path, labels_dir: Path) -> None:
    without_label = [name for stem, name in images.items() if stem not in labels]
    without_image = [name for stem, name in labels.items() if stem not in images]
    lines = []
    if without_label:
        lines.append(f"{len(without_label)} of {len(images)} images have no label map: {_few(without_label)}")
    if without_image:
        lines.append(f"{len(without_image)} of {len(labels)} label maps have no image: {_few(without_image)}")
    if lines:
        raise ScasegError(
            f"images in {images_dir} and label maps in {labels_dir} do not match:\n  " + "\n  ".join(lines),
            "Add the missing files; NAME.jpg belongs to NAME_labelTrainIds.png or NAME.png.",
        )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
