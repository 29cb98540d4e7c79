"""Which seen classes each fold holds out, and which training images none of them trains on.

Classes and images are drawn by hashes of their names and ids, so they depend neither on the seed nor on an order.
Classes that many images show are held out last: leaving out the images of one would leave too few to train on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.data.records import ids_in_order
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaseg_cli.data.records import ImageId, LabelledSet
    from scaseg_cli.recipe.schema import Folds
    from scaseg_cli.split.classes import ClassList, SplitClass

_COMMON = 0.2  # of the images: a class that more of them show is common
_LARGEST_PART = 5  # at most one in so many training images is set aside


@dataclass(frozen=True)
class Division:
    """The division of seen classes and training images.

    Attributes:
        held_out: for each fold, the names of the seen classes that it holds out.
        set_aside: ids of the training images on which choices are made.
    """

    held_out: tuple[tuple[str, ...], ...]
    set_aside: tuple[ImageId, ...]


def divide(config: Folds, classes: ClassList, train: LabelledSet) -> Division:
    """Divide the seen classes and the training images.

    Things and stuff are held out in the proportion in which they are unseen.

    Args:
        config: the recipe's ``folds`` section.
        classes: the run's classes.
        train: the run's training images.

    Raises:
        ScasegError: there are too few images, or too few seen classes in the images that are set aside.
    """
    ids = [record.image_id for record in train.images]
    count = min(config.images, len(ids) // _LARGEST_PART)
    if count == 0:
        raise ScasegError(f"{len(ids)} training images are too few for folds", "Set evaluation.choose_on: nothing.")
    set_aside = ids_in_order(sorted(ids, key=lambda image_id: _digest(f"fold image {image_id}"))[:count])
    shown_in = {part: _images_by_class(train.only(part)) for part in (tuple(ids), tuple(set_aside))}
    everywhere, aside = shown_in.values()
    seen = [item for item in classes.classes if item.seen]
    there = [item for item in seen if aside.get(item.category_id) and everywhere[item.category_id] < len(ids)]

    def place(item: SplitClass) -> tuple[bool, bytes]:
        return everywhere[item.category_id] > _COMMON * len(ids), _digest(f"fold class {item.name}")

    groups = [sorted((item for item in there if item.isthing is isthing), key=place) for isthing in (True, False)]
    counts = [_count(config, classes, isthing) for isthing in (True, False)]
    if not any(counts):  # a few classes, of which the rounding leaves none
        counts[len(groups[1]) > len(groups[0])] = 1
    for found, wanted, what in zip(groups, counts, ("things", "stuff"), strict=True):
        if len(found) < config.number * wanted:
            raise ScasegError(
                f"{config.number} folds hold out {wanted} {what} each, and the {count} training images that are set "
                f"aside show {len(found)} of the seen ones",
                "Lower folds.number or folds.classes, or raise folds.images.",
            )
    held_out = tuple(
        tuple(
            item.name
            for found, wanted in zip(groups, counts, strict=True)
            for item in found[number * wanted : (number + 1) * wanted]
        )
        for number in range(config.number)
    )
    return Division(held_out, tuple(set_aside))


def _count(config: Folds, classes: ClassList, isthing: bool) -> int:
    """The number of things or of stuff that a fold holds out."""
    own = [item for item in classes.classes if item.isthing is isthing]
    num_unseen = len(classes) - classes.num_seen
    unseen = sum(not item.seen for item in own)
    if config.classes is not None:
        return round(config.classes * unseen / num_unseen)
    return round(sum(item.seen for item in own) * unseen / len(own)) if own else 0


def _images_by_class(labelled: LabelledSet) -> dict[int, int]:
    """The number of images that show each category."""
    found: dict[int, int] = {}
    for record in labelled.images:
        for category_id in {segment.category_id for segment in record.segments if not segment.iscrowd}:
            found[category_id] = found.get(category_id, 0) + 1
    return found


def training_ids(
    train: LabelledSet, set_aside: Iterable[ImageId], held_out_ids: Iterable[int], keeps_unseen: bool
) -> list[ImageId]:
    """Select the images that a fold trains on, by the rules of the split.

    Args:
        train: the run's training images.
        set_aside: ids of those that no fold trains on.
        held_out_ids: category ids that the fold holds out.
        keeps_unseen: whether images with held-out classes are kept, their pixels ignored, or dropped.

    Raises:
        ScasegError: no image is left.
    """
    aside, held = set(set_aside), set(held_out_ids)
    own = [record for record in train.images if record.image_id not in aside]
    present = [(record.image_id, {segment.category_id for segment in record.segments}) for record in own]
    kept = [image_id for image_id, shown in present if (shown - held if keeps_unseen else not shown & held)]
    if not kept:
        raise ScasegError(
            f"a fold that holds out {len(held)} classes has no training image left",
            "Lower folds.classes: every other image shows one of them.",
        )
    return kept


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def names_in_brief(names: Sequence[str], most: int = 8) -> str:
    """The names, of which the first few are listed."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
