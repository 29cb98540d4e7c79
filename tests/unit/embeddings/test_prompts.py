import re

import pytest

from scaseg_cli.data.class_names import spoken_name
from scaseg_cli.embeddings.prompts import TEMPLATE_SETS, fill, prompt_names, read_templates
from scaseg_cli.errors import ScasegError

COUNTS = {"single": 1, "vild": 14, "padding8": 8, "zegclip15": 15, "imagenet80": 80}


def test_each_set_has_its_count_and_each_template_one_slot():
    assert set(TEMPLATE_SETS) == set(COUNTS)
    for name, count in COUNTS.items():
        templates = read_templates(name)
        assert len(templates) == len(set(templates)) == count, name
        assert all(template.count("{}") == 1 for template in templates), name


def test_the_schema_describes_the_sets():
    from scaseg_cli.recipe.schema import Embeddings

    description = Embeddings.model_fields["templates"].description
    assert all(name in description for name in TEMPLATE_SETS)


def test_a_file_of_templates(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("a {} at night\n\n  the {{}}, a drawing  \n", encoding="utf-8")
    templates = read_templates(str(path))
    assert templates == ("a {} at night", "the {{}}, a drawing")
    assert fill(templates[1], "cow") == "the {cow}, a drawing"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a {}\n\nno slot\n", r"mine\.txt, line 3: 'no slot' contains \{\} 0 times"),
        ("a {} and a {}\n", r"mine\.txt, line 1: 'a \{\} and a \{\}' contains \{\} 2 times"),
        (" \n", r"mine\.txt contains no template"),
        ("", r"mine\.txt contains no template"),
    ],
)
def test_a_bad_file_of_templates_says_where(tmp_path, text, message):
    path = tmp_path / "mine.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScasegError, match=message):
        read_templates(str(path))


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScasegError, match="cannot be read as text"):
        read_templates(str(path))


def test_an_unknown_set_names_the_nearest():
    with pytest.raises(ScasegError, match="'vild63' is neither a file nor a set") as caught:
        read_templates("vild63")
    assert "Did you mean 'vild'?" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("cow", "cow"),
        ("tree-merged", "tree"),
        ("sky-other-merged", "sky"),
        ("water-other", "water"),
        ("door-stuff", "door"),
        ("wall-brick", "wall brick"),
        ("playingfield", "playing field"),
        ("traffic light", "traffic light"),
        ("teddy_bear", "teddy bear"),
        ("other-merged-thing", "other merged thing"),
    ],
)
def test_spoken_names(name, spoken):
    assert spoken_name(name) == spoken


@pytest.mark.parametrize("names", [["wall", "sky", "wall-other-merged"], ["sky", "-merged"]])
def test_names_that_no_network_could_tell_apart_are_refused(names):
    with pytest.raises(ScasegError, match=rf"the class {names[-1]!r} would get"):
        prompt_names(names)


@pytest.mark.parametrize(
    "names", [["cow, ox", "dog", "ox|cow"], ["Wall, wall", "wall,Wall"], ["cow", "cow-stuff, cow"]]
)
def test_classes_with_the_same_names_are_refused(names):
    with pytest.raises(ScasegError, match=rf"the class {re.escape(repr(names[-1]))} would get the same prompts as"):
        prompt_names(names)


def test_a_class_of_several_names_has_prompts_for_each():
    classes = ["person, individual,  some one", "door-stuff|double-door", "sky", "cow, cow-other, --"]
    assert prompt_names(classes) == [
        ("person", "individual", "some one"), ("door", "double door"), ("sky",), ("cow",),
    ]  # fmt: skip
    assert prompt_names(classes, "first") == [("person",), ("door",), ("sky",), ("cow",)]
    assert prompt_names(classes, wording="raw")[1] == ("door-stuff", "double-door")
    assert prompt_names(["sky-other-merged", "sky"], wording="raw") == [("sky-other-merged",), ("sky",)]
