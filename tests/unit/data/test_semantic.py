"""Sets of label maps: scanned once, kept in an index, with every mistake reported."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from semantic_files import CLASSES, columns, write_classes, write_maps

from scaseg_cli.data.images import read_label
from scaseg_cli.data.map_pairs import pair_files
from scaseg_cli.data.map_scan import scan_label_maps
from scaseg_cli.data.records import Category, LabelledSet
from scaseg_cli.data.semantic import ignored_pixels, read_index, scan_semantic_set, write_index
from scaseg_cli.errors import ScasegError

MAPS = {"000000000009": columns(0, 0, 2, 255), "000000000010": columns(1, 1), "000000000002": columns(255, 2, 0)}
# Values of COCO-Stuff's own maps, derived by hand from its published ids: id - 1.
RAW = {"person": 0, "stop sign": 12, "wine glass": 45, "hair drier": 88, "toothbrush": 89, "banner": 91, "wood": 181}
CONTIGUOUS = {"person": 0, "stop sign": 11, "wine glass": 40, "hair drier": 78, "toothbrush": 79, "banner": 80,
              "wood": 170}  # fmt: skip


@pytest.fixture
def scanned(tmp_path):
    where = write_maps(tmp_path, "train", MAPS)
    return scan_semantic_set(tmp_path, where, write_classes(tmp_path), "train"), where


def refusal(root, maps, classes=None, **names) -> ScasegError:
    where = write_maps(root, "train", maps, **names)
    with pytest.raises(ScasegError) as caught:
        scan_semantic_set(root, where, classes or write_classes(root), "train")
    return caught.value


def test_a_set_knows_its_images_and_the_classes_in_each(scanned):
    labelled, _ = scanned
    assert [category.name for category in labelled.categories] == ["cat", "cow", "grass", "sky"]
    assert [record.image_id for record in labelled.images] == [2, 9, 10]
    assert [record.file_name for record in labelled.images] == [f"{number:012d}.jpg" for number in (2, 9, 10)]
    areas = [{segment.category_id: segment.area for segment in record.segments} for record in labelled.images]
    assert areas == [{0: 4, 2: 4}, {0: 8, 2: 4}, {1: 8}]
    assert [(record.width, record.height) for record in labelled.images] == [(3, 4), (4, 4), (2, 4)]
    assert read_label(labelled, labelled.images[1]).tolist() == [[1, 1, 3, 0]] * 4


def test_the_index_gives_the_same_set(scanned, tmp_path):
    labelled, where = scanned
    write_index(tmp_path / "index.json", labelled)
    again = read_index(tmp_path / "index.json", tmp_path, where)
    assert again == labelled
    assert again.categories[1].colour == (9, 8, 7)
    assert [read_label(again, record).sum() for record in again.images] == [16, 20, 16]
    lines = (tmp_path / "index.json").read_text().splitlines()
    assert len(lines) == 1 + 4 + 2 + 3 + 1  # one line per class and one per image
    assert '"file_name":"000000000009.jpg"' in lines[8]


def test_files_that_come_later_change_nothing(scanned, tmp_path):
    labelled, where = scanned
    write_index(tmp_path / "index.json", labelled)
    write_maps(tmp_path, "train", {"000000000001": columns(0)})
    assert read_index(tmp_path / "index.json", tmp_path, where) == labelled


def test_a_damaged_or_missing_index_says_what_to_run(tmp_path, scanned):
    labelled, where = scanned
    write_index(tmp_path / "index.json", labelled)
    text = (tmp_path / "index.json").read_text()
    for wrong in (text[:200], text.replace('"width":3', '"width":"3"')):
        (tmp_path / "index.json").write_text(wrong)
        with pytest.raises(ScasegError, match=r"index\.json is not an index of label maps") as caught:
            read_index(tmp_path / "index.json", tmp_path, where)
        assert "scaseg split-dataset" in caught.value.hint
    with pytest.raises(ScasegError, match=r"other\.json does not exist: the data has not been split"):
        read_index(tmp_path / "other.json", tmp_path, where)


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("b", "a", "10"), {"10": 0, "a": 1, "b": 2}),
        (("7", "007"), {"007": 0, "7": 1}),
        (("12", "5"), {"12": 12, "5": 5}),
    ],
)
def test_image_ids_are_the_names_numbers_or_else_the_places(tmp_path, names, ids):
    where = write_maps(tmp_path, "train", {name: columns(0) for name in names})
    labelled = scan_semantic_set(tmp_path, where, write_classes(tmp_path), "train")
    assert {record.file_name.removesuffix(".jpg"): record.image_id for record in labelled.images} == ids


def test_coco_stuffs_own_maps_are_read_through_a_table(tmp_path):
    where = write_maps(tmp_path, "own", {"9": columns(*RAW.values(), 255)})
    own = scan_semantic_set(tmp_path, where, "coco-stuff", "train")
    converted = write_maps(tmp_path, "converted", {"9": columns(*CONTIGUOUS.values(), 255)}, "_labelTrainIds.png")
    contiguous = scan_semantic_set(tmp_path, converted, "coco-stuff", "train")
    assert own.images[0].segments == contiguous.images[0].segments
    assert {own.categories[segment.category_id].name for segment in own.images[0].segments} == set(RAW)
    write_index(tmp_path / "index.json", own)
    label = read_label(read_index(tmp_path / "index.json", tmp_path, where), own.images[0])
    assert label.tolist() == [[number + 1 for number in CONTIGUOUS.values()] + [0]] * 4
    np.testing.assert_array_equal(label, read_label(contiguous, contiguous.images[0]))


@pytest.mark.parametrize("gap", [12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91, 183])
def test_ids_that_coco_stuff_does_not_have_are_refused_in_its_own_maps(tmp_path, gap):
    error = refusal(tmp_path, {"9": columns(0, gap - 1)}, "coco-stuff")
    assert f"9.png contains the values {gap - 1} (4 pixels), which are not ids of COCO-Stuff's own" in error.message
    assert "NAME_labelTrainIds.png" in error.hint


def test_ids_beyond_coco_stuffs_contiguous_ones_are_refused(tmp_path):
    error = refusal(tmp_path, {"9": columns(0, 171)}, "coco-stuff", suffix="_labelTrainIds.png")
    assert (
        "9_labelTrainIds.png contains the values 171 (4 pixels), which are not among the 171 classes" in error.message
    )


def test_all_wrong_label_maps_are_counted_and_the_first_named(tmp_path):
    maps = {f"{number}": columns(0, 9) for number in range(10, 17)} | {"20": columns(2)}
    where = write_maps(tmp_path, "train", maps)
    Image.new("RGB", (1, 4), (2, 2, 1)).save(tmp_path / where.labels / "20.png")
    Image.new("RGB", (5, 5)).save(tmp_path / where.images / "11.jpg")
    (tmp_path / where.images / "12.jpg").write_bytes(b"")
    with pytest.raises(ScasegError) as caught:
        scan_semantic_set(tmp_path, where, write_classes(tmp_path), "train")
    lines = caught.value.message.splitlines()
    assert lines[0] == f"the folder of label maps {tmp_path / where.labels} has 8 mistakes:"
    assert "10.png contains the values 9 (4 pixels), which are not among the 4 classes" in lines[1]
    assert "11.png is 2 x 4 pixels, but its image" in lines[2]
    assert "12.jpg cannot be read" in lines[3]
    assert lines[-1] == "  and 3 more"


def test_a_single_wrong_label_map_raises_its_own_error(tmp_path):
    error = refusal(tmp_path, {"1": columns(0), "2": columns(7)})
    assert error.message.startswith(f"the label map {tmp_path / 'maps' / 'train' / '2.png'} contains the values 7")
    assert "data.categories" in error.hint


def test_a_mistake_in_the_classes_is_found_before_the_folders(tmp_path):
    assert "id 0 occurs twice" in refusal(tmp_path, {}, write_classes(tmp_path, [CLASSES[0], CLASSES[0]])).message


def test_several_processes_find_what_one_finds(tmp_path):
    where = write_maps(tmp_path, "train", {"0": columns(0, 1), "1": columns(2, 300, bits=16)})
    images, labels = tmp_path / where.images, tmp_path / where.labels
    for number in range(2, 450):
        for folder, name in ((images, f"{number}.jpg"), (labels, f"{number}.png")):
            shutil.copy(folder / name.replace(str(number), str(number % 2)), folder / name)
    (labels / "333.png").write_bytes(b"no PNG")
    pairs = pair_files(tmp_path, where).pairs
    whole = LabelledSet(images, labels, (), (), ())
    alone = scan_label_maps(whole, pairs, "Looking", processes=1)
    together = scan_label_maps(whole, pairs, "Looking", processes=2)
    wrong = next(place for place, pair in enumerate(pairs) if pair.label == "333.png")
    errors = [looked.pop(wrong) for looked in (alone, together)]
    assert alone == together
    assert str(errors[0]) == str(errors[1])
    assert "333.png cannot be read" in errors[1].message
    assert "download" in errors[1].hint


def test_ignored_pixels_are_void_and_those_of_the_given_classes(scanned):
    labelled, _ = scanned
    assert ignored_pixels(labelled, frozenset()) == (8, 36)
    assert ignored_pixels(labelled, frozenset({2, 1})) == (8 + 8 + 8, 36)
    other = replace(labelled, categories=(*labelled.categories, Category(7, "dog", True)))
    assert ignored_pixels(other, frozenset({7})) == (8, 36)


def test_a_class_of_an_ignored_value_is_left_out(tmp_path):
    where = write_maps(tmp_path, "train", {"1": columns(0, 0, 1, 2)})
    labelled = scan_semantic_set(tmp_path, where, write_classes(tmp_path), "train", ignored=[0, 2])
    assert [category.name for category in labelled.categories] == ["cow", "sky"]
    assert read_label(labelled, labelled.images[0]).tolist() == [[0, 0, 2, 0]] * 4
    assert labelled.findings.without_class == {1: {0: 8, 2: 4}}
    write_index(tmp_path / "index.json", labelled)
    again = read_index(tmp_path / "index.json", tmp_path, where)
    assert again == labelled
    assert read_label(again, again.images[0]).tolist() == [[0, 0, 2, 0]] * 4


def test_a_set_counts_what_it_leaves_out(tmp_path):
    where = write_maps(tmp_path, "train", {"1": columns(0), "2": columns(1)})
    (tmp_path / where.labels / "2.png").rename(tmp_path / where.labels / "3.png")
    found = scan_semantic_set(tmp_path, where, write_classes(tmp_path), "train").findings
    assert (found.num_labelled, found.unlabelled, found.imageless) == (1, ("2.jpg",), ("3.png",))


@pytest.mark.parametrize(("turned", "fits", "key"), [(False, (3, 4), "turn"), (True, (4, 3), "ignore")])
def test_a_map_that_fits_the_image_turned_otherwise_names_the_key(tmp_path, turned, fits, key):
    where = write_maps(tmp_path, "train", {"1": np.zeros(fits[::-1], np.uint8)})
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (4, 3)).save(tmp_path / where.images / "1.jpg", exif=exif)
    classes = write_classes(tmp_path)
    with pytest.raises(ScasegError) as caught:
        scan_semantic_set(tmp_path, where, classes, "train", turned=turned)
    assert (
        f"its label fits the image {'as stored' if turned else 'turned by it'}: set data.exif to {key}"
        in caught.value.hint
    )
    labelled = scan_semantic_set(tmp_path, where, classes, "train", turned=not turned)
    assert (labelled.images[0].width, labelled.images[0].height) == fits
