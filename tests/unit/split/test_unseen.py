import pytest

from scaseg_cli.data.panoptic import Category
from scaseg_cli.errors import ScasegError
from scaseg_cli.shapes.world import CATEGORIES as SHAPES_CATEGORIES
from scaseg_cli.split.unseen import COCO_ZPS, check_unseen, unseen_names

CATEGORIES = tuple(
    Category(number, name, True) for number, name in enumerate(("cow", "dog", "playingfield", "grass-merged", "road"))
)


def refusal(unseen, categories=CATEGORIES) -> ScasegError:
    with pytest.raises(ScasegError) as caught:
        check_unseen(unseen, unseen_names(unseen), categories)
    return caught.value


def test_known_splits():
    assert unseen_names("coco-zps") == COCO_ZPS
    assert len(set(COCO_ZPS)) == 14
    shapes = unseen_names("shapes-zps")
    assert len(shapes) == 8
    check_unseen("shapes-zps", shapes, [Category(c["id"], c["name"], bool(c["isthing"])) for c in SHAPES_CATEGORIES])


def test_a_list_is_taken_as_it_is():
    assert unseen_names(["road", "cow"]) == ("road", "cow")
    check_unseen(["road", "cow"], ("road", "cow"), CATEGORIES)


def test_a_file_of_names_with_comments_and_blank_lines(tmp_path):
    path = tmp_path / "unseen.txt"
    path.write_text("\ufeff# things\n  cow  \n\nplayingfield # stuff\nc#\n", encoding="utf-8")
    assert unseen_names(str(path)) == ("cow", "playingfield", "c#")


def test_a_known_name_goes_before_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco-zps").write_text("dog\n")
    assert unseen_names("coco-zps") == COCO_ZPS


def test_neither_known_nor_a_file():
    error = refusal("coco-zsp")
    assert error.message == "split.unseen is 'coco-zsp': neither a known split (coco-zps, shapes-zps) nor a file"
    assert error.hint.startswith("Did you mean 'coco-zps'? ")
    assert refusal("").message.startswith("split.unseen is")


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
