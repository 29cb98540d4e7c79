"""Which images a grid shows: those that a person names, the worst or the best, or the first with unseen classes."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.examples import chosen_images
from scaseg_cli.split.rules import holds_unseen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.split import ClassList
    from scaseg_cli.visualization.scored_images import ScoredImage

Rank = Literal["worst", "best"]
NUM_IMAGES = 6
_NAMED = 5  # image ids that an error gives as examples


@dataclass(frozen=True)
class Choice:
    """What a person asked for.

    Attributes:
        image_ids: these, in this order; None: others.
        rank: by the score of our prediction; None: the first by image id.
        number: images, at most, where none are named.
        only_unseen: no image without an unseen class, and no segment of a seen one.
    """

    image_ids: tuple[int, ...] | None = None
    rank: Rank | None = None
    number: int = NUM_IMAGES
    only_unseen: bool = False

    @property
    def stem(self) -> str:
        """What the files are called where the person does not say."""
        first = self.rank or ("examples" if self.image_ids is None else "chosen")
        return f"{first}-unseen" if self.only_unseen else first


def candidates(
    choice: Choice, images: LabelledSet, classes: ClassList, selection_ids: Collection[int]
) -> list[ImageRecord]:
    """The images that may be shown, in order: those of a ranking before they are ranked, else those that are shown.

    Args:
        choice: what is asked for.
        images: the validation images.
        classes: the run's.
        selection_ids: the images that choices were made on, which are never shown.

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
    choice: Choice, images: LabelledSet, classes: ClassList, selection_ids: Collection[int]
) -> list[ImageRecord]:
    known = {record.image_id: record for record in images.images}
    wanted = list(dict.fromkeys(choice.image_ids or ()))
    for image_id in wanted:
        if image_id in known:
            continue
        if image_id in selection_ids:
            why = f"image {image_id} is one of the selection images, on which choices were made"
            raise ScasegError(why, f"Validation images are {_some(known)}.")
        raise ScasegError(f"--ids {image_id} is no validation image", f"Validation images are {_some(known)}.")
    if choice.only_unseen:
        for image_id in wanted:
            if not holds_unseen(known[image_id], classes):
                holding = [r.image_id for r in images.images if holds_unseen(r, classes)]
                hint = f"Those that do are {_some(holding)}; without --only all classes are shown."
                raise ScasegError(f"image {image_id} holds no unseen class", hint)
    return [known[image_id] for image_id in wanted]


def _some(image_ids: Collection[int]) -> str:
    """A few of them in words."""
    first = [str(image_id) for image_id in sorted(image_ids)[:_NAMED]]
    if not first:
        return "none"
    more = len(image_ids) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def picked(choice: Choice, scored_image: Iterable[ScoredImage]) -> list[ScoredImage]:
    """Those of the images looked at that are shown; of a ranking no more than these are kept in memory.

    Images of equal score go by image id. One in which no class counts has no score and is not ranked.
    """
    if choice.rank is None:
        return list(scored_image)
    sign = 1 if choice.rank == "worst" else -1
    ranked = (item for item in scored_image if not math.isnan(item.scores["ours"]))
    return heapq.nsmallest(choice.number, ranked, key=lambda item: (sign * item.scores["ours"], item.record.image_id))


def in_words(choice: Choice, shown: Sequence[ImageRecord], classes: ClassList, measure: str) -> str:
    """What the images are, for the title."""
    number = len(shown)
    images = "validation image" if number == 1 else f"{number} validation images"
    if choice.rank is not None:
        order = "lowest" if choice.rank == "worst" else "highest"
        of_unseen = " over unseen classes" if choice.only_unseen else ""
        return f"the {images} in which ours has the {order} {measure}{of_unseen}"
    if choice.image_ids is not None:
        return images if number > 1 else "a validation image"
    if all(holds_unseen(record, classes) for record in shown):
        return f"the first {images} with unseen classes"
    return f"{images}, those with unseen classes first"
