from pathlib import Path

import pytest

from scaseg_cli.data.records import Category, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.classes import class_list
from scaseg_cli.split.rules import check_apart, check_same_categories, check_trainable, parted_validation, training_ids

CAT, DOG, COW, GRASS = (
    Category(1, "cat", True),
    Category(3, "dog", True),
    Category(7, "cow", True),
    Category(100, "grass", False),
)
CATEGORIES = (CAT, DOG, COW, GRASS)


def record(image_id: int, *category_ids: int, crowd: bool = False) -> ImageRecord:
    segments = tuple(Segment(10 + place, category_id, 1, crowd) for place, category_id in enumerate(category_ids))
    return ImageRecord(image_id, f"{image_id}.jpg", f"{image_id}.png", 4, 4, segments)


def panoptic_set(*images: ImageRecord, folder: str = "images", categories=CATEGORIES) -> LabelledSet:
    return LabelledSet(Path(folder), Path("labels"), categories, images)


def test_an_image_with_any_unseen_segment_is_not_trained_on():
    images = (record(9, 1, 3), record(4, 1, 7), record(3, 3), record(8, 1, 100, 7))
    assert training_ids(panoptic_set(*images), class_list(CATEGORIES, ["cow"])) == [3, 9]
    assert training_ids(panoptic_set(*images), class_list(CATEGORIES, ["cow", "cat"])) == [3]
    assert training_ids(panoptic_set(*images), class_list(CATEGORIES, ["grass"])) == [3, 4, 9]


def test_a_crowd_of_an_unseen_class_counts_too():
    images = (record(1, 3), record(2, 3, 7, crowd=True))
    assert training_ids(panoptic_set(*images), class_list(CATEGORIES, ["cow"])) == [1]


def test_an_image_without_segments_holds_nothing_unseen():
    assert training_ids(panoptic_set(record(1)), class_list(CATEGORIES, ["cow"])) == [1]


def test_an_image_with_any_seen_segment_is_trained_on_where_unseen_ones_are_kept():
    images = (record(9, 1, 3), record(4, 1, 7), record(3, 7), record(8))
    classes = class_list(CATEGORIES, ["cow"])
    assert training_ids(panoptic_set(*images), classes, keeps_unseen=True) == [4, 9]
    with pytest.raises(ScasegError, match="none of 2 holds a pixel of a seen class"):
        training_ids(panoptic_set(record(3, 7), record(8)), classes, keeps_unseen=True)


def test_no_training_image_left_says_which_classes_hit_most():
    images = (record(1, 7, 7, 1), record(2, 7), record(3, 100))
    with pytest.raises(ScasegError) as caught:
        training_ids(panoptic_set(*images), class_list(CATEGORIES, ["cow", "grass"]))
    assert "all 3 hold segments of unseen classes; most often: cow (2), grass (1)" in caught.value.message
    assert "split.unseen" in caught.value.hint
    with pytest.raises(ScasegError, match="the training annotations hold no image"):
        training_ids(panoptic_set(), class_list(CATEGORIES, ["cow"]))


def test_parts_of_validation_are_apart_and_do_not_depend_on_order():
    ids = [17 * number + 3 for number in range(100)]
    selection, rest = parted_validation(ids, 0.2)
    assert len(selection) == 20
    assert sorted(selection + rest) == ids
    assert selection == sorted(selection)
    assert parted_validation(reversed(ids), 0.2) == (selection, rest)
    assert selection != ids[:20]


def test_which_images_are_for_choices_stays_the_same_for_ever():
    # Changing these would make earlier results incomparable.
    assert parted_validation(range(10), 0.3) == ([2, 3, 8], [0, 1, 4, 5, 6, 7, 9])


@pytest.mark.parametrize(("count", "fraction", "expected"), [(2, 0.01, 1), (2, 0.99, 1), (3, 0.99, 2), (10, 0.01, 1)])
def test_each_part_gets_one_image_at_least(count, fraction, expected):
    selection, rest = parted_validation(range(count), fraction)
    assert (len(selection), len(rest)) == (expected, count - expected)


@pytest.mark.parametrize(("count", "text"), [(0, "validation has 0 images"), (1, "validation has 1 image:")])
def test_too_few_validation_images(count, text):
    with pytest.raises(ScasegError, match=text) as caught:
        parted_validation(range(count), 0.5)
    assert "data.selection" in caught.value.hint


def test_categories_must_agree_in_whatever_order():
    one = panoptic_set()
    check_same_categories(one, "train", panoptic_set(categories=CATEGORIES[::-1]), "validation")
    other = panoptic_set(categories=(CAT, DOG, Category(7, "cow", False), GRASS))
    with pytest.raises(ScasegError, match=r"data\.train and data\.validation differ in 'cow' \(id 7\)"):
        check_same_categories(one, "train", other, "validation")
    many = tuple(Category(number, f"class {number}", True) for number in range(200, 220))
    with pytest.raises(ScasegError, match="and 15 more"):
        check_same_categories(one, "train", panoptic_set(categories=CATEGORIES + many), "validation")


def test_one_image_file_may_not_be_in_two_sets(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "images")
    one = panoptic_set(record(1), record(2), folder=str(tmp_path / "images"))
    check_apart(one, "selection", panoptic_set(record(3), folder=str(tmp_path / "images")), "validation")
    check_apart(one, "selection", panoptic_set(record(1), folder=str(tmp_path / "others")), "validation")
    with pytest.raises(ScasegError, match=r"1 image is both in selection and in validation, among them .*2\.jpg"):
        check_apart(one, "selection", panoptic_set(record(2), folder=str(tmp_path / "link")), "validation")


def test_crowds_alone_are_nothing_to_train_on():
    crowds = (record(1, 1, 100, crowd=True), record(2, 1, crowd=True))
    with pytest.raises(ScasegError, match="nothing to train on: all 3 segments of the 2 training images are crowds"):
        check_trainable(panoptic_set(*crowds))
    check_trainable(panoptic_set(*crowds, record(3, 1)))
    with pytest.raises(ScasegError, match="the 1 training images have no segment"):
        check_trainable(panoptic_set(record(1)))
