"""The choice of images, its error messages, and the title that describes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaseg_cli.data.records import Category, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.classes import class_list
from scaseg_cli.visualization.choice import Choice, candidates, in_words, picked
from scaseg_cli.visualization.scored_images import ScoredImage

CAT, COW = 1, 2
CLASSES = class_list([Category(CAT, "cat", True), Category(COW, "cow", True)], ["cow"])


def record(image_id: int, *category_ids: int) -> ImageRecord:
    segments = tuple(Segment(i + 1, c, 9, 0) for i, c in enumerate(category_ids))
    return ImageRecord(image_id, f"{image_id}.jpg", f"{image_id}.png", 8, 6, segments)


IMAGES = LabelledSet(
    Path(), Path(), (), (record(9, COW), record(3, CAT), record(5, CAT, COW), record(1, CAT), record(7, COW))
)
SELECTION = {2, 4}


def ids_of(choice: Choice) -> list[int]:
    return [found.image_id for found in candidates(choice, IMAGES, CLASSES, SELECTION)]


def refusal(choice: Choice) -> ScasegError:
    with pytest.raises(ScasegError) as caught:
        candidates(choice, IMAGES, CLASSES, SELECTION)
    return caught.value


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(number=2), [5, 7]),
        (Choice(number=4), [5, 7, 9, 1]),
        (Choice(only_unseen=True), [5, 7, 9]),
        (Choice(rank="worst", number=1), [5, 7, 9, 1, 3]),
        (Choice(rank="best", number=1, only_unseen=True), [5, 7, 9]),
        (Choice((7, 1, 7, 3)), [7, 1, 3]),
        (Choice((9, 5), only_unseen=True), [9, 5]),
    ],
)
def test_candidates_follow_the_choice(choice: Choice, expected: list[int]) -> None:
    assert ids_of(choice) == expected


def test_an_unknown_image_is_reported_with_some_known_ones() -> None:
    error = refusal(Choice((7, 8)))
    assert error.message == "--ids 8 is not a validation image"
    assert error.hint == "Validation images are 1, 3, 5, 7, 9."


def test_a_selection_image_is_not_shown() -> None:
    assert "image 4 is a selection image" in refusal(Choice((4,))).message


def test_a_named_image_without_an_unseen_class_is_refused_with_only_unseen() -> None:
    error = refusal(Choice((7, 3), only_unseen=True))
    assert error.message == "image 3 holds no unseen class"
    assert "images that do (5, 7, 9)" in (error.hint or "")


def test_no_unseen_class_anywhere() -> None:
    seen = LabelledSet(Path(), Path(), (), (record(1, CAT),))
    with pytest.raises(ScasegError, match="no validation image holds an unseen class"):
        candidates(Choice(only_unseen=True), seen, CLASSES, ())


def scored_images(**scores: float) -> list[ScoredImage]:
    """Make one image for each argument such as image_7=0.5."""
    return [ScoredImage(record(int(name[6:])), {}, {"ours": score, "baseline": 0.0}) for name, score in scores.items()]


@pytest.mark.parametrize(
    ("rank", "number", "expected"),
    [
        ("worst", 2, [8, 2]),
        ("worst", 3, [8, 2, 4]),
        ("best", 2, [6, 2]),
        ("best", 9, [6, 2, 4, 8]),
        (None, 1, [4, 6, 2, 8, 5]),
    ],
)
def test_a_ranking_goes_by_our_score_and_then_by_image_id(rank, number, expected) -> None:
    found = scored_images(image_4=0.5, image_6=0.9, image_2=0.5, image_8=0.1, image_5=float("nan"))
    assert [item.record.image_id for item in picked(Choice(rank=rank, number=number), iter(found))] == expected


@pytest.mark.parametrize(
    ("choice", "ids", "words"),
    [
        (Choice(), [5, 7], "2 validation images, the first of each unseen class in turn"),
        (Choice(), [5, 1], "2 validation images, those with unseen classes first"),
        (Choice((5, 7)), [5, 7], "2 validation images"),
        (Choice((5,)), [5], "a validation image"),
        (Choice(rank="worst"), [5, 7], "the 2 validation images in which ours has the lowest PQ"),
        (
            Choice(rank="best", only_unseen=True),
            [5],
            "the validation image in which ours has the highest PQ over unseen classes",
        ),
    ],
)
def test_the_title_describes_the_images(choice, ids, words) -> None:
    by_id = {item.image_id: item for item in IMAGES.images}
    assert in_words(choice, [by_id[image_id] for image_id in ids], CLASSES, "PQ") == words


def test_each_choice_has_its_own_file_name() -> None:
    stems = [
        Choice((1,), rank, only_unseen=only).stem if rank == "ids" else Choice(None, rank, only_unseen=only).stem
        for rank in (None, "worst", "best")
        for only in (False, True)
    ]
    stems.append(Choice((1,)).stem)
    assert stems == ["examples", "examples-unseen", "worst", "worst-unseen", "best", "best-unseen", "chosen"]
