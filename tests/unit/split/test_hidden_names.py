import pytest

from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff
from scaseg_cli.shapes.world import CLASSES, UNSEEN
from scaseg_cli.split.hidden_names import hidden_by_seen, note_of
from scaseg_cli.split.unseen import COCO_ZPS, COCO_ZSS


@pytest.mark.parametrize(
    ("seen", "unseen"),
    [
        ("cows", "cow"), ("Cow", "cow-merged"), ("berry", "berries"), ("glass", "glasses"), ("box", "boxes"),
        ("bench", "benches"), ("bus", "buses"), ("people", "person, individual"), ("shelf", "shelves"),
        ("potted plant", "pottedplant"), ("couch", "sofa"), ("tv", "tvmonitor"), ("motorcycle", "motorbikes"),
        ("screen door, screen", "crt screen|screen"),
    ],
)  # fmt: skip
def test_a_seen_name_plural_or_synonym_hides_an_unseen_class(seen, unseen):
    assert hidden_by_seen(["sky", seen], ["zebra", unseen]) == [(unseen, seen)]
    assert hidden_by_seen([unseen], [seen]) == [(seen, unseen)]


@pytest.mark.parametrize(
    ("seen", "unseen"), [("wall", "wall-brick"), ("bus", "bush"), ("grass", "gras hopper"), ("screen", "screen door")]
)
def test_different_names_hide_nothing(seen, unseen):
    assert hidden_by_seen([seen], [unseen]) == []


def test_only_first_names_count_where_the_recipe_says_so():
    assert hidden_by_seen(["blind, screen"], ["screen"]) == [("screen", "blind, screen")]
    assert hidden_by_seen(["blind, screen"], ["screen"], "first") == []


@pytest.mark.parametrize(
    ("names", "unseen"),
    [
        ([item.name for item in coco_panoptic()], COCO_ZPS),
        ([item.name for item in coco_stuff()], COCO_ZSS),
        ([item.name for item in CLASSES], UNSEEN),
    ],
)
def test_the_published_splits_hide_nothing(names, unseen):
    assert hidden_by_seen(set(names) - set(unseen), unseen) == []


def test_the_note_names_both():
    note = note_of(hidden_by_seen(["couch", "tv"], ["sofa", "tvmonitor"]))
    assert "'sofa' (seen class 'couch'), 'tvmonitor' (seen class 'tv')." in note
