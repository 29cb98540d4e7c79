"""The choice of a grid's images: those that the user names, the worst or best, or the first with unseen classes."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaseg_cli.data.records import ids_in_order
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.pictures.examples import chosen_images
from scaseg_cli.split.rules import holds_unseen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from scaseg_cli.data.records import ImageId, ImageRecord, LabelledSet
    from scaseg_cli.split.classes import ClassList
    from scaseg_cli.visualization.scored_images import ScoredImage

Rank = Literal["worst", "best"]
NUM_IMAGES = 6
_NAMED = 5  # image ids that an error gives as examples


@dataclass(frozen=True)
class Choice:
    """The user's choice of images.

    Attributes:
        image_ids: ids of the images, in the grid's order; None means that ``rank`` decides.
        rank: ranking by the score of our prediction; None means unseen classes in turn, by image id.
        number: maximum number of images if none are named.
        only_unseen: leaves out images without an unseen class, and segments of seen classes.
    """

    image_ids: tuple[ImageId, ...] | None = None
    rank: Rank | None = None
    number: int = NUM_IMAGES
    only_unseen: bool = False

    @property
    def stem(self) -> str:
        """The default name of the files, without suffix."""
        first = self.rank or ("examples" if self.image_ids is None else "chosen")
        return f"{first}-unseen" if self.only_unseen else first


def candidates(
    choice: Choice, images: LabelledSet, classes: ClassList, selection_ids: Collection[ImageId]
) -> list[ImageRecord]:
    """Return the images to score, in order: all that a ranking compares, or else exactly those that are shown.

    Args:
        choice: the user's choice.
        images: the validation images.
        classes: the run's classes.
        selection_ids: ids of the selection images, which are never shown.

    Raises:
        ScasegError: an image id is not one of the validation images, or none of them holds an unseen class.
    """
    if choice.image_ids is not None:
        return _named(choice, images, classes, selection_ids)
    wanted = chosen_images(images, classes, len(images.images))
    if choice.only_unseen:
        wanted = [record for record in wanted if holds_unseen(record, classes)]
        if not wanted:
            raise ScasegError("no validation image holds an unseen class", "Leave out --only.")
    return wanted if choice.rank is not None else wanted[: choice.number]


def _named(
    choice: Choice, images: LabelledSet, classes: ClassList, selection_ids: Collection[ImageId]
) -> list[ImageRecord]:
    known = {record.image_id: record for record in images.images}
    by_text = {str(image_id): image_id for image_id in known}
    wanted = list(dict.fromkeys(by_text.get(str(image_id), image_id) for image_id in choice.image_ids or ()))
    for image_id in wanted:
        if image_id in known:
            continue
        if str(image_id) in map(str, selection_ids):
            why = f"image {image_id} is a selection image; snapshots and increments were chosen on these"
            raise ScasegError(why, f"Validation images are {_some(known)}.")
        raise ScasegError(f"--ids {image_id} is not a validation image", f"Validation images are {_some(known)}.")
    if choice.only_unseen:
        for image_id in wanted:
            if not holds_unseen(known[image_id], classes):
                holding = [r.image_id for r in images.images if holds_unseen(r, classes)]
                hint = f"Name images that do ({_some(holding)}), or leave out --only."
                raise ScasegError(f"image {image_id} holds no unseen class", hint)
    return [known[image_id] for image_id in wanted]


def _some(image_ids: Collection[ImageId]) -> str:
    """The first few ids as text."""
    first = [str(image_id) for image_id in ids_in_order(image_ids)[:_NAMED]]
    if not first:
        return "none"
    more = len(image_ids) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def picked(choice: Choice, scored_images: Iterable[ScoredImage]) -> list[ScoredImage]:
    """Return the scored images that are shown; a ranking keeps only these in memory.

    Ties go to the smaller image id. An image in which no class counts has no score and is not ranked.
    """
    if choice.rank is None:
        return list(scored_images)
    sign = 1 if choice.rank == "worst" else -1
    ranked = (item for item in scored_images if not math.isnan(item.scores["ours"]))
    return heapq.nsmallest(choice.number, ranked, key=lambda item: (sign * item.scores["ours"], item.record.image_id))


def in_words(choice: Choice, shown: Sequence[ImageRecord], classes: ClassList, measure: str) -> str:
    """Describe the images for the title."""
    number = len(shown)
    images = "validation image" if number == 1 else f"{number} validation images"
    if choice.rank is not None:
        order = "lowest" if choice.rank == "worst" else "highest"
        of_unseen = " over unseen classes" if choice.only_unseen else ""
        return f"the {images} in which ours has the {order} {measure}{of_unseen}"
    if choice.image_ids is not None:
        return images if number > 1 else "a validation image"
    if number > 1 and all(holds_unseen(record, classes) for record in shown):
        return f"{images}, the first of each unseen class in turn"
    return (
        f"{images}, those with unseen classes first" if number > 1 else "the first validation image with unseen classes"
    )
