"""The rules by which images go into the training, selection and validation lists.

docs/method.md, Task. Zero-shot panoptic segmentation: an image in which any segment is unseen is not trained on.
Zero-shot semantic segmentation: an image is trained on if anything in it is seen, its unseen pixels being ignored.
Lists are in the order of image ids, so that they do not depend on the order in the annotation file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.split.classes import ClassList


def holds_unseen(record: ImageRecord, classes: ClassList) -> bool:
    """Whether any segment of the image, crowd or not, is of an unseen class."""
    return not classes.unseen_category_ids.isdisjoint([segment.category_id for segment in record.segments])


def holds_seen(record: ImageRecord, classes: ClassList) -> bool:
    """Whether any segment of the image is of a seen class."""
    return not classes.unseen_category_ids.issuperset([segment.category_id for segment in record.segments])


def training_ids(train: LabelledSet, classes: ClassList, keeps_unseen: bool = False) -> list[int]:
    """Ids of the images that training may look at.

    Args:
        train: all of the training annotations.
        classes: seen and unseen ones.
        keeps_unseen: False: images without any unseen segment; True: images with any seen one.

    Raises:
        ScasegError: there is none; says how many images hold unseen segments and which classes are in most of them.
    """
    fits = [
        holds_seen(record, classes) if keeps_unseen else not holds_unseen(record, classes) for record in train.images
    ]
    kept = sorted(record.image_id for record, wanted in zip(train.images, fits, strict=True) if wanted)
    if kept:
        return kept
    if not train.images:
        raise ScasegError("the training annotations hold no image", "Check data.train in the recipe.")
    if keeps_unseen:
        raise ScasegError(
            f"the split leaves no training image: none of {len(train.images)} holds a pixel of a seen class",
            "Take classes out of split.unseen, or check data.train in the recipe.",
        )
    hits = sorted(_images_by_unseen_class(train, classes).items(), key=lambda hit: (-hit[1], hit[0]))
    most = ", ".join(f"{name} ({count})" for name, count in hits[:5])
    raise ScasegError(
        f"the split leaves no training image: all {len(train.images)} hold segments of unseen classes; "
        f"in the most images: {most}",
        "Take such classes out of split.unseen, or add training images without them.",
    )


def _images_by_unseen_class(train: LabelledSet, classes: ClassList) -> Counter[str]:
    names = {item.category_id: item.name for item in classes.classes if not item.seen}
    hits: Counter[str] = Counter()
    for record in train.images:
        hits.update({names[s.category_id] for s in record.segments if s.category_id in names})
    return hits


def parted_validation(image_ids: Iterable[int], fraction: float) -> tuple[list[int], list[int]]:
    """Part validation into the images for choices and those that are reported.

    Which images are chosen depends on their ids alone: on neither their order nor a seed.

    Args:
        image_ids: of the validation annotations.
        fraction: of them, the part for choices; each part gets at least one image.

    Returns:
        selection ids and reported validation ids.

    Raises:
        ScasegError: there are fewer than two images.
    """
    ids = sorted(image_ids)
    if len(ids) < 2:
        raise ScasegError(
            f"validation has {len(ids)} image{'' if len(ids) == 1 else 's'}: choices are made on one part of it and "
            "figures reported on the rest, so it needs two at least",
            "Add validation images, or name a set of its own for choices under data.selection.",
        )
    by_chance = sorted(ids, key=lambda image_id: hashlib.sha256(f"selection {image_id}".encode()).digest())
    count = min(max(round(fraction * len(ids)), 1), len(ids) - 1)
    return sorted(by_chance[:count]), sorted(by_chance[count:])


def check_same_categories(one: LabelledSet, one_name: str, other: LabelledSet, other_name: str) -> None:
    """Go on only if two sets have the same categories, in whatever order.

    Raises:
        ScasegError: they differ; shows the first few that do.
    """
    differ = sorted({*one.categories} ^ {*other.categories}, key=lambda category: category.id)
    if differ:
        shown = ", ".join(f"{category.name!r} (id {category.id})" for category in differ[:5])
        more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
        raise ScasegError(
            f"the categories of data.{one_name} and data.{other_name} differ in {shown}{more}",
            "Ids, names and isthing must be the same in all annotation files.",
        )


def check_apart(one: LabelledSet, one_name: str, other: LabelledSet, other_name: str) -> None:
    """Go on only if no image file is in both sets. (Image ids may be the same in two annotation files.)

    Raises:
        ScasegError: some are; names one and counts them.
    """
    shared = shared_images(one, other)
    if shared:
        raise ScasegError(
            f"{len(shared)} image{'s are' if len(shared) > 1 else ' is'} both in {one_name} and in {other_name}, "
            f"among them {one.images_dir.resolve() / min(shared)}",
            "Figures are reported on images that nothing was learned or chosen from: take them out of one set.",
        )


def shared_images(one: LabelledSet, other: LabelledSet) -> set[str]:
    """File names of the images that are in both sets; none where their folders, symbolic links resolved, differ."""
    if one.images_dir.resolve() != other.images_dir.resolve():
        return set()
    return {record.file_name for record in one.images} & {record.file_name for record in other.images}
