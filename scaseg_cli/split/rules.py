"""The rules that assign images to the training, selection and validation lists.

docs/method.md, Task. Zero-shot panoptic segmentation: images with any unseen segment are left out of training.
Zero-shot semantic segmentation: images with any seen class are used for training, and their unseen pixels are ignored.
Lists are sorted by image id, so that they do not depend on the order in the annotation file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from scaseg_cli.data.records import ids_in_order
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaseg_cli.data.records import ImageId, ImageRecord, LabelledSet
    from scaseg_cli.split.classes import ClassList


def holds_unseen(record: ImageRecord, classes: ClassList) -> bool:
    """Whether any segment of the image, crowd or not, is of an unseen class."""
    return any(segment.category_id in classes.unseen_category_ids for segment in record.segments)


def training_ids(train: LabelledSet, classes: ClassList, keeps_unseen: bool = False) -> list[ImageId]:
    """Select the ids of the images that training may use.

    Args:
        train: the training set.
        classes: the seen and unseen classes.
        keeps_unseen: if False, keep images without unseen segments; if True, keep images with any seen segment.

    Raises:
        ScasegError: no image is left; counts those with unseen segments and names the most frequent classes.
    """
    segments, unseen = train.segment_classes, classes.unseen_category_ids
    fits = segments.images_with(unseen, other=True) if keeps_unseen else ~segments.images_with(unseen)
    kept = ids_in_order(train.images[place].image_id for place in fits.nonzero()[0].tolist())
    if kept:
        return kept
    if not train.images:
        raise ScasegError("the training annotations hold no image", "Check data.train in the recipe.")
    if keeps_unseen:
        raise ScasegError(
            f"the split leaves no training image: none of {len(train.images)} holds a pixel of a seen class",
            "Remove classes from split.unseen, or check data.train in the recipe.",
        )
    hits = sorted(_images_by_unseen_class(train, classes).items(), key=lambda hit: (-hit[1], hit[0]))
    most = ", ".join(f"{name} ({count})" for name, count in hits[:5])
    raise ScasegError(
        f"the split leaves no training image: all {len(train.images)} hold segments of unseen classes; "
        f"most often: {most}",
        "Remove such classes from split.unseen, or add training images without them.",
    )


def check_trainable(train: LabelledSet) -> None:
    """Check that the training images have a segment that is not a crowd.

    Raises:
        ScasegError: they have none.
    """
    records = train.images
    if any(not segment.iscrowd for record in records for segment in record.segments):
        return
    num_crowds = sum(len(record.segments) for record in records)
    why = (
        f"all {num_crowds} segments of the {len(records)} training images are crowds"
        if num_crowds
        else (f"the {len(records)} training images have no segment")
    )
    raise ScasegError(
        f"there is nothing to train on: {why}",
        "Crowds are not trained on: set iscrowd to 0 for segments of one object or of stuff.",
    )


def _images_by_unseen_class(train: LabelledSet, classes: ClassList) -> Counter[str]:
    names = {item.category_id: item.name for item in classes.classes if not item.seen}
    hits: Counter[str] = Counter()
    for record in train.images:
        hits.update({names[s.category_id] for s in record.segments if s.category_id in names})
    return hits


def parted_validation(image_ids: Iterable[ImageId], fraction: float) -> tuple[list[ImageId], list[ImageId]]:
    """Divide the validation images into those for selection and those for the reported results.

    The division depends only on the image ids, not on their order or on a seed.

    Args:
        image_ids: the ids of the validation images.
        fraction: fraction of the images used for selection; each part gets at least one image.

    Returns:
        selection ids and reported validation ids, each sorted.

    Raises:
        ScasegError: there are fewer than two images.
    """
    ids = ids_in_order(image_ids)
    if len(ids) < 2:
        raise ScasegError(
            f"validation has {len(ids)} image{'' if len(ids) == 1 else 's'}: one part is for selection and the "
            "rest for the reported results, so it needs at least two",
            "Add validation images, or set data.selection to a separate set.",
        )
    by_chance = sorted(ids, key=lambda image_id: hashlib.sha256(f"selection {image_id}".encode()).digest())
    count = min(max(round(fraction * len(ids)), 1), len(ids) - 1)
    return ids_in_order(by_chance[:count]), ids_in_order(by_chance[count:])


def check_same_categories(one: LabelledSet, one_name: str, other: LabelledSet, other_name: str) -> None:
    """Check that two sets have the same categories, in any order.

    Raises:
        ScasegError: they differ; names the first few differences.
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
    """Check that no image file is in both sets. (Two annotation files may use the same image ids.)

    Raises:
        ScasegError: the sets overlap; names one shared image and counts all.
    """
    shared = shared_images(one, other)
    if shared:
        raise ScasegError(
            f"{len(shared)} image{'s are' if len(shared) > 1 else ' is'} both in {one_name} and in {other_name}, "
            f"among them {one.images_dir.resolve() / min(shared)}",
            "Remove them from one set: results must be reported on images used for neither training nor selection.",
        )


def shared_images(one: LabelledSet, other: LabelledSet) -> set[str]:
    """File names of the images in both sets; empty if their folders differ after resolving symbolic links."""
    if one.images_dir.resolve() != other.images_dir.resolve():
        return set()
    return {record.file_name for record in one.images} & {record.file_name for record in other.images}
