import pytest

from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff
from scaseg_cli.data.records import Category
from scaseg_cli.errors import ScasegError
from scaseg_cli.shapes.world import CATEGORIES as SHAPES_CATEGORIES
from scaseg_cli.shapes.world import MAP_CATEGORIES
from scaseg_cli.split.unseen import COCO_ZPS, COCO_ZSS, KNOWN_SPLITS, find_unseen, unseen_names

CATEGORIES = tuple(
    Category(number, name, True) for number, name in enumerate(("cow", "dog", "playingfield", "grass-merged", "road"))
)


def refusal(unseen, categories=CATEGORIES) -> ScasegError:
    with pytest.raises(ScasegError) as caught:
        find_unseen(unseen, unseen_names(unseen), categories)
    return caught.value


# The published ids: COCO's own for ZPS, MMSegmentation's contiguous ones for ZSS.
ZPS_IDS = {21, 25, 33, 34, 41, 57, 87, 100, 145, 148, 149, 184, 187, 193}
ZSS_IDS = {19, 23, 28, 29, 36, 51, 76, 88, 94, 112, 133, 136, 137, 157, 160}


@pytest.mark.parametrize(
    ("split", "names", "ids", "categories"),
    [("coco-zps", COCO_ZPS, ZPS_IDS, coco_panoptic()), ("coco-zss", COCO_ZSS, ZSS_IDS, coco_stuff())],
)
def test_the_published_splits_are_of_their_class_lists(split, names, ids, categories):
    assert unseen_names(split) == names
    find_unseen(split, names, categories)
    assert {category.id for category in categories if category.name in names} == ids
    assert len(names) == len(ids)


def test_clouds_are_unseen_in_coco_stuff_and_the_sky_is_not():
    assert "clouds" in COCO_ZSS
    assert "sky-other" not in COCO_ZSS
    assert "sky-other-merged" in COCO_ZPS


def test_the_embedded_worlds_splits_are_one():
    shapes = unseen_names("shapes-zps")
    assert len(shapes) == 8
    assert unseen_names("shapes-zss") == shapes
    for listed in (SHAPES_CATEGORIES, MAP_CATEGORIES):
        find_unseen("shapes-zps", shapes, [Category(c["id"], c["name"], bool(c["isthing"])) for c in listed])


def test_each_known_split_is_known():
    assert all(unseen_names(name) for name in KNOWN_SPLITS)


def test_a_list_is_taken_as_it_is():
    assert unseen_names(["road", "cow"]) == ("road", "cow")
    find_unseen(["road", "cow"], ("road", "cow"), CATEGORIES)


def test_a_class_of_several_names_is_meant_by_each_that_no_other_has():
    categories = [Category(1, "person, individual", True), Category(2, "screen, door", True), Category(3, "door", True)]
    assert find_unseen("x", ("individual", "door"), categories) == ("person, individual", "door")
    assert find_unseen("x", ("person, individual",), categories) == ("person, individual",)
    assert refusal(["person", "individual"], categories).message == "split.unseen names twice: 'person, individual'"
    twins = [Category(1, "screen, telly", True), Category(2, "screen, crt", True)]
    assert "'screen'" in refusal(["screen"], twins).message


def test_a_file_of_names_with_comments_and_blank_lines(tmp_path):
    path = tmp_path / "unseen.txt"
    path.write_text("\ufeff# things\n  cow  \n\nplayingfield # stuff\nc#\n", encoding="utf-8")
    assert unseen_names(str(path)) == ("cow", "playingfield", "c#")


def test_a_known_name_goes_before_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco-zps").write_text("dog\n")
    assert unseen_names("coco-zps") == COCO_ZPS


def test_neither_known_nor_a_file():
    error = refusal("coc-zps")
    known = ", ".join(KNOWN_SPLITS)
    what = "the unseen classes (split.unseen, --unseen)"
    assert error.message == f"{what} are 'coc-zps': neither a known split ({known}) nor a file"
    assert error.hint.startswith("Did you mean 'coco-zps'? ")
    assert refusal("").message.startswith("the unseen classes (split.unseen, --unseen) are")


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "unseen.txt"
    path.write_bytes(b"caf\xe9")
    assert f"the file of unseen names {path} cannot be read" in refusal(str(path)).message


def test_all_lacking_names_are_listed_each_with_the_nearest():
    error = refusal(["playing-field", "grassmerged", "Cow", "road", "zebra"])
    assert error.message.splitlines() == [
        "split.unseen names 4 of 5 classes that the data lacks:",
        "  'playing-field': did you mean 'playingfield'?",
        "  'grassmerged': did you mean 'grass-merged'?",
        "  'Cow': did you mean 'cow'?",
        "  'zebra'",
    ]


def test_a_known_split_on_data_of_another_kind_is_named():
    assert refusal("shapes-zps").message.startswith("split.unseen (shapes-zps) names 8 of 8 classes")


def test_names_twice_none_and_all(tmp_path):
    assert refusal(["cow", "road", "cow"]).message == "split.unseen names twice: 'cow'"
    assert refusal([]).message == "split.unseen names no class"
    assert refusal([c.name for c in CATEGORIES]).message == "split.unseen names all 5 classes of the data"
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert "names no class" in refusal(str(tmp_path / "empty.txt")).message
