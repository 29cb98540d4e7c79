"""Any names in any order: one order inside, stored vectors for the run's classes, and no name twice."""

import pytest
import torch

from scaseg_cli.clip.load import load_clip
from scaseg_cli.embeddings.encode import encode_classes
from scaseg_cli.embeddings.encoders import vector_source
from scaseg_cli.embeddings.store import ClassEmbeddings, save_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.prediction.names import parse_names
from scaseg_cli.prediction.vocabulary import NameVectors, vocabulary_among, vocabulary_of
from scaseg_cli.recipe.load import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import ClassList, SplitClass, write_classes

# the model's order: seen first
CLASSES = (
    SplitClass("red ring", 4, True, True),
    SplitClass("sky-other-merged", 187, False, True),
    SplitClass("blue dots", 2, False, False),
    SplitClass("green square", 254, True, False),
)
NAMES = [item.name for item in CLASSES]


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("shapes-zps")


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    run = RunDir(tmp_path_factory.mktemp("run"))
    write_classes(run, "zps", ClassList(CLASSES))
    clip, random = load_clip(recipe.clip), torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(4, clip.dim, generator=random), dim=1)
    save_embeddings(
        run.embeddings_file, ClassEmbeddings(NAMES, vectors, clip.fingerprint, vector_source(recipe), ("a {}",))
    )
    return run


def test_names_that_are_not_utf_8_text():
    with pytest.raises(ScasegError, match="is not UTF-8 text"):
        parse_names("zebra, \udcff")


def test_things_come_before_the_semicolon():
    assert parse_names("zebra,  street   lamp ; grass,,sky") == (["zebra", "street lamp"], ["grass", "sky"])
    assert parse_names("zebra") == (["zebra"], [])
    assert parse_names("; grass") == ([], ["grass"])


@pytest.mark.parametrize(
    ("text", "things", "stuff"),
    [
        ('"person, individual", sky; "a; b"', ["person, individual", "sky"], ["a; b"]),
        ("'person,individual' ; person|human ", ["person, individual"], ["person, human"]),
        ("bird's nest, 's-hook", ["bird's nest", "'s-hook"], []),
    ],
)
def test_a_class_of_several_names_is_in_quotes_or_has_bars(text, things, stuff):
    assert parse_names(text) == (things, stuff)


@pytest.mark.parametrize("text", ['"person, individual', '"person" or individual, sky', 'sky, "a'])
def test_a_quote_without_an_end_is_refused(text):
    with pytest.raises(ScasegError, match="a quote that does not end before a comma"):
        parse_names(text)


SEVERAL = ClassList(
    (
        SplitClass("person, individual, soul", 1, True, True),
        SplitClass("screen door, screen", 2, True, True),
        SplitClass("screen", 3, True, False),
        SplitClass("blind, screen", 4, True, False),
    )
)


@pytest.mark.parametrize(
    ("name", "class_id"),
    [
        ("individual", 0), ("Soul, person", 0), ("person, individual, soul", 0),
        ("person, human", None),  # more than the run's class
        ("screen", 2), ("Screen", 2), ("screen, blind", 3), ("screen door", 1), ("screen, gauze", None),
    ],
)  # fmt: skip
def test_a_name_means_the_runs_class_that_alone_has_it(name, class_id):
    (found,) = vocabulary_among(SEVERAL, ([name], [])).classes
    assert (found.class_id, found.name) == (class_id, name)


@pytest.mark.parametrize("names", [["individual", "soul"], ["zebra, quagga", "quagga, zebra"]])
def test_two_lists_of_names_of_one_class_are_refused(names):
    with pytest.raises(ScasegError, match="which mean the same class"):
        vocabulary_among(SEVERAL, (names, []))


@pytest.mark.parametrize(
    ("text", "says"), [("", "names no class"), (" ;, ", "names no class"), ("a;b;c", "has 2 semi")]
)
def test_lists_without_names_or_with_too_many_semicolons_are_refused(text, says):
    with pytest.raises(ScasegError, match=says):
        parse_names(text)


def test_without_names_the_vocabulary_is_the_runs_classes(run):
    vocabulary = vocabulary_of(run, None)
    assert [(c.name, c.category_id, c.class_id, c.seen, c.isthing) for c in vocabulary.classes] == [
        (c.name, c.category_id, place, c.seen, c.isthing) for place, c in enumerate(CLASSES)
    ]
    assert vocabulary.num_seen == 2


def test_the_order_of_the_names_changes_nothing(run):
    first = vocabulary_of(run, (["zebra", "red ring", "ant"], ["blue dots", "lawn"]))
    second = vocabulary_of(run, (["ant", "zebra", "red ring"], ["lawn", "blue dots"]))
    assert first == second
    assert [(c.name, c.seen, c.class_id) for c in first.classes] == [
        ("red ring", True, 0), ("blue dots", False, 2), ("ant", False, None), ("lawn", False, None),
        ("zebra", False, None),
    ]  # fmt: skip
    assert first.num_seen == 1
    assert first.isthing.tolist() == [True, False, True, False, True]


def test_new_classes_get_unused_numbers(run):
    numbers = {c.name: c.category_id for c in vocabulary_of(run, (["red ring", "b", "a"], ["c"])).classes}
    assert numbers == {"red ring": 4, "a": 256, "b": 257, "c": 258}  # 255 means no label in a label map


def test_a_name_as_it_goes_into_prompts_means_the_runs_class(run):
    (found,) = vocabulary_of(run, (["Sky"], [])).classes
    assert (found.name, found.class_id, found.category_id, found.seen) == ("Sky", 1, 187, True)
    assert found.isthing  # as the user says, not as the data does


def test_without_instances_all_classes_are_stuff(run):
    assert not vocabulary_of(run, (["red ring", "zebra"], ["lawn"]), together=True).isthing.any()
    assert not vocabulary_of(run, None, together=True).isthing.any()


@pytest.mark.parametrize(
    ("things", "stuff", "says"),
    [
        (["zebra", "zebra"], [], "names 'zebra' twice"),
        (["zebra"], ["zebra"], "names 'zebra' twice"),
        (["Zebra"], ["zebra-stuff"], "names 'zebra-stuff' and 'Zebra', which mean the same class"),
        (["sky"], ["sky-other-merged"], "names 'sky-other-merged' and 'sky', which mean the same class"),
        (["--"], [], "has the name '--', which is empty in prompts"),
    ],
)
def test_a_class_may_be_named_only_once(run, things, stuff, says):
    with pytest.raises(ScasegError, match=says):
        vocabulary_of(run, (things, stuff))


def test_the_runs_classes_have_the_stored_vectors_bit_by_bit(run, recipe):
    stored = torch.nn.functional.normalize(torch.randn(4, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    assert torch.equal(NameVectors(recipe, run).of(vocabulary_of(run, None))[0], stored)
    mixed = NameVectors(recipe, run).of(vocabulary_of(run, (["zebra", "sky"], ["blue dots"])))[0]
    assert torch.equal(mixed[:2], stored[[1, 2]])


def test_a_new_names_vector_does_not_depend_on_the_others(run, recipe):
    alone = NameVectors(recipe, run).of(vocabulary_of(run, (["purple star"], [])))[0][0]
    among = vocabulary_of(run, (["zebra", "red ring", "a"], ["yellow ring", "purple star"]))
    place = [c.name for c in among.classes].index("purple star")
    assert torch.equal(NameVectors(recipe, run).of(among)[0][place], alone)
    assert torch.equal(encode_classes(load_clip(recipe.clip), ["purple star"], ("a {}",), 7).means()[0], alone)


def test_a_clip_other_than_the_runs_is_refused(recipe, tmp_path):
    other = RunDir(tmp_path)
    write_classes(other, "zps", ClassList(CLASSES))
    save_embeddings(
        other.embeddings_file, ClassEmbeddings(NAMES, torch.eye(4, 64), "0" * 64, vector_source(recipe), ("a {}",))
    )
    assert torch.equal(NameVectors(recipe, other).of(vocabulary_of(other, None))[0], torch.eye(4, 64))
    with pytest.raises(ScasegError, match="were made by other weights"):
        NameVectors(recipe, other).of(vocabulary_of(other, (["zebra"], [])))
