import json
from pathlib import Path

import pytest
from panoptic_files import CATEGORIES, panoptic_json, striped, write_panoptic_set

from scaseg_cli.data import annotations
from scaseg_cli.data.annotation_mistakes import read_closely
from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.records import LabelledSet, ids_in_order
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.data_section import ImageSet

IMAGES = [striped(5, 1, 100), striped(2, 3, 7, 187, crowd=True)]
WHERE = ImageSet(images="train", annotations="train.json", labels="train_png")


def read(root: Path, content) -> LabelledSet:
    """Read annotations with this content (text is written unchanged)."""
    (root / WHERE.annotations).write_text(content if isinstance(content, str) else json.dumps(content))
    return read_panoptic_set(root, WHERE)


def refusal(root: Path, content) -> str:
    with pytest.raises(ScasegError) as caught:
        read(root, content)
    assert caught.value.hint
    return caught.value.message


def test_reads_records_in_the_order_of_the_file(tmp_path):
    panoptic_set = read(tmp_path, panoptic_json(IMAGES))
    assert [record.image_id for record in panoptic_set.images] == [5, 2]
    first, second = panoptic_set.images
    assert (first.width, first.height) == (8, 6)
    assert panoptic_set.image_path(first) == tmp_path / "train" / "000000000005.jpg"
    assert panoptic_set.label_path(first) == tmp_path / "train_png" / "000000000005.png"
    assert [(s.category_id, s.area, s.iscrowd) for s in first.segments] == [(1, 18, False), (100, 24, False)]
    assert all(segment.iscrowd for segment in second.segments)
    assert [(c.id, c.name, c.isthing) for c in panoptic_set.categories] == [
        (c["id"], c["name"], bool(c["isthing"])) for c in CATEGORIES
    ]


def test_annotations_may_have_another_order_than_images(tmp_path):
    content = panoptic_json(IMAGES)
    content["annotations"].reverse()
    assert read(tmp_path, content) == read(tmp_path, panoptic_json(IMAGES))


def test_only_keeps_the_given_order_and_refuses_unknown_ids(tmp_path):
    panoptic_set = read(tmp_path, panoptic_json(IMAGES))
    for order in ([2, 5], [5, 2], [2]):
        assert [record.image_id for record in panoptic_set.only(order).images] == order
    with pytest.raises(ScasegError, match=r"1 image ids are not in the annotations .*\[9\]"):
        panoptic_set.only([2, 9])


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ScasegError, match=r"train\.json does not exist"):
        read_panoptic_set(tmp_path, WHERE)
    whole = json.dumps(panoptic_json(IMAGES))
    assert "train.json is not valid JSON" in refusal(tmp_path, whole[: len(whole) // 2])
    assert "is not valid JSON" in refusal(tmp_path, "")
    assert "contains a list, not a mapping" in refusal(tmp_path, [])


def test_top_level_mistakes_come_together(tmp_path):
    message = refusal(tmp_path, {"images": {}, "categories": None})
    assert "train.json has 3 mistakes" in message
    assert "'images' is a mapping, not a list" in message
    assert "the key 'annotations' is missing" in message
    assert "'categories' is null, not a list" in message


def _set(*path_and_value):
    """A change of the annotations: sets the last argument at the path given by the others."""
    *path, last, value = path_and_value

    def change(content):
        for key in path:
            content = content[key]
        content[last] = value

    return change


def _drop(*path):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


SEGMENT = ("annotations", 0, "segments_info", 0)
FAULTS = [
    (_set("images", 1, "id", 5), "image id 5 occurs twice"),
    (_set("images", 0, "id", True), "images[0]: id is True, not a whole number or text"),
    (_set("images", 0, "id", 2.5), "images[0]: id is 2.5, not a whole number or text"),
    (_set("images", 0, None), "images[0]: it is null, not a mapping"),
    (_drop("images", 0, "width"), "images[0]: the key 'width' is missing"),
    (_set("images", 0, "height", 0), "image 5 is 8 x 0 pixels"),
    (_set("images", 0, "file_name", "../secret.jpg"), "image 5 has the file name '../secret.jpg', which leads out of"),
    (_set("images", 0, "file_name", ".."), "image 5 has the file name '..', which leads out of"),
    (_set("images", 0, "file_name", ""), "image 5 has the file name '', which leads out of"),
    (_set("images", 0, "file_name", "/etc/passwd"), "image 5 has the file name '/etc/passwd', which leads out of"),
    (_set("annotations", 1, "file_name", "a/../../b.png"), "the annotation of image 2 has the file name 'a/../../b"),
    (_set("annotations", 1, "image_id", 5), "image 5 has two annotations"),
    (_drop("annotations", 0, "segments_info"), "annotations[0]: the key 'segments_info' is missing"),
    (_set("annotations", 0, "segments_info", {}), "annotations[0]: segments_info is {}, not a list"),
    (_set(*SEGMENT, "text"), "image 5: a segment: it is text, not a mapping"),
    (_drop(*SEGMENT, "id"), "image 5: a segment: the key 'id' is missing"),
    (_set(*SEGMENT, "id", 140005), "image 5: segment id 140005 occurs twice"),
    (_set(*SEGMENT, "id", 0), "image 5: segment id 0 is not in 1..16777215 (0 is void)"),
    (_set(*SEGMENT, "id", 1 << 24), "image 5: segment id 16777216 is not in 1..16777215"),
    (_set(*SEGMENT, "id", 1.5), "image 5: segment 1.5: id is 1.5, not a whole number"),
    (_set(*SEGMENT, "id", 1e300), "image 5: segment 1e+300: id is 1e+300, not a whole number"),
    (_set(*SEGMENT, "category_id", 2), "segment 70005 has category_id 2, which is not among the categories"),
    (_set(*SEGMENT, "category_id", 1.5), "segment 70005: category_id is 1.5, not a whole number"),
    (_set(*SEGMENT, "category_id", [1]), "segment 70005: category_id is [1], not a whole number"),
    (_set(*SEGMENT, "area", "18"), "segment 70005: area is '18', not a number"),
    (_set(*SEGMENT, "iscrowd", 2), "segment 70005: iscrowd is 2, not 0 or 1"),
    (_set("categories", 1, "id", 1), "category id 1 occurs twice"),
    (_set("categories", 1, "name", "cat"), "category name 'cat' occurs twice"),
    (_set("categories", 1, "isthing", "yes"), "categories[1]: isthing is 'yes', not 0 or 1"),
    (_set("categories", []), "'categories' is empty"),
]


@pytest.mark.parametrize(("change", "text"), FAULTS, ids=[text for _, text in FAULTS])
def test_a_fault_is_named_with_file_and_value(tmp_path, change, text):
    content = panoptic_json(IMAGES)
    change(content)
    message = refusal(tmp_path, content)
    assert text in message
    assert str(tmp_path / "train.json") in message


def test_many_mistakes_are_counted_and_the_first_shown(tmp_path):
    content = panoptic_json([striped(number, 1, 3, 7, 100) for number in range(1, 5)])
    for annotation in content["annotations"]:
        for segment in annotation["segments_info"]:
            segment["category_id"] = 77
    message = refusal(tmp_path, content)
    assert "has 16 mistakes:\n" in message
    assert message.count("category_id 77") == 5
    assert message.endswith("and 11 more")


def test_an_image_without_segments_and_a_name_in_a_subfolder_are_fine(tmp_path):
    content = panoptic_json(IMAGES)
    content["annotations"][0]["segments_info"] = []
    content["images"][0]["file_name"] = "a/b.jpg"
    record = read(tmp_path, content).images[0]
    assert record.segments == ()
    assert record.file_name == "a/b.jpg"


def test_the_written_set_of_the_tests_reads_back(tmp_path):
    where = write_panoptic_set(tmp_path, "val", IMAGES)
    assert len(read_panoptic_set(tmp_path, where).images) == 2


def test_what_is_right_needs_no_close_look(tmp_path, monkeypatch):
    monkeypatch.setattr(annotations, "read_closely", lambda *_: pytest.fail("a right file was read twice"))
    read(tmp_path, panoptic_json(IMAGES))


VALUES = (
    None,
    True,
    0,
    1,
    5,
    -1,
    2.5,
    1.0,
    1e300,
    2**31,
    2**63,
    2**65,
    "",
    "a",
    "..",
    "a/b.jpg",
    [],
    [1],
    [1, 2, 3, 4],
    {},
)


def test_the_quick_reading_accepts_nothing_that_the_close_one_refuses_or_reads_otherwise(tmp_path):
    """Replace every value of a small file in turn by values of every type, and remove it."""
    places = [(*SEGMENT, key) for key in ("id", "category_id", "area", "bbox", "iscrowd")] + [(*SEGMENT, "bbox", 2)]
    places += [("images", 0, key) for key in ("id", "file_name", "width", "height")]
    places += [("annotations", 0, key) for key in ("image_id", "file_name", "segments_info")]
    places += [("categories", 0, key) for key in ("id", "name", "isthing")] + [("images",), ("annotations", 0), SEGMENT]
    path = tmp_path / WHERE.annotations
    accepted = 0
    for change in [_set(*place, value) for place in places for value in VALUES] + [_drop(*place) for place in places]:
        content = panoptic_json(IMAGES)
        change(content)
        path.write_text(json.dumps(content))
        quick = annotations._read_quickly(path)
        if quick is not None:
            closely = read_closely(path, tmp_path / WHERE.images, tmp_path / WHERE.labels)
            assert quick == (closely.categories, closely.images, closely.findings)
            accepted += 1
    assert accepted > 20


@pytest.mark.parametrize("iscrowd", [True, 1.0])
def test_what_the_quick_reading_refuses_too_much_the_close_one_accepts(tmp_path, iscrowd):
    content = panoptic_json(IMAGES)
    content["annotations"][0]["segments_info"][0]["iscrowd"] = iscrowd
    assert read(tmp_path, content).images[0].segments[0].iscrowd == 1


def _as_pandas_writes(content):
    for annotation in content["annotations"]:
        annotation["image_id"] = float(annotation["image_id"])
        for segment in annotation["segments_info"]:
            segment |= {"id": float(segment["id"]), "category_id": float(segment["category_id"]), "area": float("nan")}


def _bare(content):
    for annotation in content["annotations"]:
        annotation["segments_info"] = [
            {key: segment[key] for key in ("id", "category_id")} for segment in annotation["segments_info"]
        ]


@pytest.mark.parametrize("change", [_as_pandas_writes, _bare])
def test_segments_need_only_an_id_and_a_category(tmp_path, change):
    content = panoptic_json([IMAGES[0]])
    wanted = [(segment.id, segment.category_id) for segment in read(tmp_path, content).images[0].segments]
    change(content)
    record = read(tmp_path, content).images[0]
    assert (record.image_id, type(record.image_id)) == (5, int)
    assert [(segment.id, segment.category_id) for segment in record.segments] == wanted
    assert {(type(segment.id), segment.area, segment.iscrowd) for segment in record.segments} == {(int, None, 0)}


def test_image_ids_may_be_text(tmp_path):
    content = panoptic_json(IMAGES)
    for number, name in enumerate(("frankfurt_000001_000019", "007")):
        content["images"][number]["id"] = content["annotations"][number]["image_id"] = name
    panoptic_set = read(tmp_path, content)
    assert [record.image_id for record in panoptic_set.images] == ["frankfurt_000001_000019", "007"]
    assert [record.file_name for record in panoptic_set.only(["007"]).images] == ["000000000002.jpg"]


def test_ids_are_ordered_numbers_first():
    assert ids_in_order(["b", 10, "a", 9]) == [9, 10, "a", "b"]


def test_ids_that_never_meet_are_named(tmp_path):
    content = panoptic_json(IMAGES)
    for annotation in content["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])
    assert "none of its 2 images has an annotation; the first annotation is for image '5'" in refusal(tmp_path, content)


@pytest.mark.parametrize("quick", [True, False])
def test_what_lacks_the_other_is_left_out_and_named(tmp_path, monkeypatch, quick):
    if not quick:
        monkeypatch.setattr(annotations, "_read_quickly", lambda _: None)
    content = panoptic_json([*IMAGES, striped(8, 1)])
    del content["images"][1], content["annotations"][2]
    panoptic_set = read(tmp_path, content)
    assert [record.image_id for record in panoptic_set.images] == [5]
    found = panoptic_set.findings
    assert (found.num_labelled, found.unlabelled, found.imageless) == (1, ("000000000008.jpg",), ("000000000002.png",))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_mistake(tmp_path, encoding):
    (tmp_path / WHERE.annotations).write_text(json.dumps(panoptic_json(IMAGES)), encoding=encoding)
    assert read_panoptic_set(tmp_path, WHERE) == read(tmp_path, panoptic_json(IMAGES))


def test_a_mark_needs_no_close_look(tmp_path, monkeypatch):
    monkeypatch.setattr(annotations, "read_closely", lambda *_: pytest.fail("a right file was read twice"))
    (tmp_path / WHERE.annotations).write_text(json.dumps(panoptic_json(IMAGES)), encoding="utf-8-sig")
    assert len(read_panoptic_set(tmp_path, WHERE).images) == 2


def test_backslashes_part_folders(tmp_path):
    content = panoptic_json(IMAGES)
    content["images"][0]["file_name"] = "day1\\000000000005.jpg"
    content["annotations"][0]["file_name"] = "day1\\deep\\5.png"
    record = read(tmp_path, content).images[0]
    assert (record.file_name, record.label_name) == ("day1/000000000005.jpg", "day1/deep/5.png")
    content["images"][0]["file_name"] = "..\\secret.jpg"
    assert "leads out of" in refusal(tmp_path, content)


def test_only_a_file_that_is_cut_short_is_said_to_be(tmp_path):
    whole = json.dumps(panoptic_json(IMAGES))
    hints = {}
    for name, text in {
        "half": whole[:300],
        "name": whole[: whole.index("categories") + 4],
        "comma": whole[:-1] + ",}",
    }.items():
        with pytest.raises(ScasegError) as caught:
            read(tmp_path, text)
        hints[name] = caught.value.hint
        assert ("cut short" in caught.value.message) == (name != "comma")
        assert "line 1" in caught.value.message
    assert "truncated" in hints["half"]
    assert "truncated" in hints["name"]
    assert "truncated" not in hints["comma"]


def test_things_may_be_named_in_place_of_isthing(tmp_path):
    content = panoptic_json(IMAGES)
    for category in content["categories"]:
        del category["isthing"]
    content["categories"][0]["name"] = "cat, kitty"
    (tmp_path / WHERE.annotations).write_text(json.dumps(content))
    assert not any(category.isthing for category in read_panoptic_set(tmp_path, WHERE).categories)
    found = read_panoptic_set(tmp_path, WHERE, ["kitty", "dog"])
    assert [category.name for category in found.categories if category.isthing] == ["cat, kitty", "dog"]
    with pytest.raises(ScasegError, match=r"data\.things names 'dogs', which the data lacks") as caught:
        read_panoptic_set(tmp_path, WHERE, ["dogs"])
    assert "'dog'" in caught.value.hint
