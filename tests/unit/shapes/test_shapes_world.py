"""Every attribute of an unseen class occurs in seen classes."""

import pytest

from scaseg_cli.shapes.world import CATEGORIES, CLASSES, SEEN_STUFF, SEEN_THINGS, STUFF, THINGS, UNSEEN


def test_counts_and_unique_names_ids_and_label_colours() -> None:
    assert (len(THINGS), len(STUFF)) == (24, 16)
    for key in ("id", "name"):
        assert len({category[key] for category in CATEGORIES}) == 40
    assert len({tuple(category["color"]) for category in CATEGORIES}) == 40
    assert [category["isthing"] for category in CATEGORIES] == [1] * 24 + [0] * 16


def test_unseen_names_are_five_things_and_three_kinds_of_stuff() -> None:
    unseen = [cls for cls in CLASSES if cls.unseen]
    assert {cls.name for cls in unseen} == set(UNSEEN)
    assert [cls.isthing for cls in unseen].count(True) == 5
    assert [cls.isthing for cls in unseen].count(False) == 3


@pytest.mark.parametrize("unseen", [cls for cls in CLASSES if cls.unseen], ids=lambda cls: cls.name)
def test_attributes_of_an_unseen_class_occur_in_several_seen_ones(unseen) -> None:
    seen = SEEN_THINGS if unseen.isthing else SEEN_STUFF
    assert sum(cls.colour == unseen.colour for cls in seen) >= 2
    assert sum(cls.form == unseen.form for cls in seen) >= 3
