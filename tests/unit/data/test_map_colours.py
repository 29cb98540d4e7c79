"""Label maps painted in colours: tables as the field's tools write them, and the pixels that come out."""

import json

import numpy as np
import pytest
from PIL import Image
from semantic_files import write_classes, write_maps

from scaseg_cli.data.images import read_label
from scaseg_cli.data.map_colours import read_colours
from scaseg_cli.data.semantic import read_index, scan_semantic_set, write_index
from scaseg_cli.errors import ScasegError

IDS = {"sky": 1, "road marking": 7}
TABLES = {
    "CamVid": "128 128 128\tsky\n  0 0 192\troad marking\n0 0 0\tVoid\n",
    "CVAT": "# label:color_rgb:parts:actions\nsky:128,128,128::\nroad marking:0,0,192::\nVoid:0,0,0::\n",
    "CSV": "name,r,g,b\nsky,128,128,128\nroad marking,0,0,192\nVoid,0,0,0\n",
    "spaces": "sky 128 128 128\n\nroad marking 0 0 192\nVoid 0 0 0",
    "BOM": "\ufeff128, 128, 128, sky\r\n0, 0, 192, road marking\r\n0, 0, 0, Void\r\n",
}


def table(folder, text, category_ids=None, name="colours.txt"):
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return read_colours(folder / name, category_ids or IDS)


def mistakes(folder, text, **keys) -> ScasegError:
    with pytest.raises(ScasegError) as caught:
        table(folder, text, **keys)
    return caught.value


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables_of_several_tools_say_the_same(tmp_path, text):
    found = table(tmp_path, text)
    assert found.colours == ((128, 128, 128), (0, 0, 192), (0, 0, 0))
    assert found.names == ("sky", "road marking", "Void")
    assert found.category_ids == (1, 7, None)


def test_a_class_list_with_colours_is_a_table(tmp_path):
    items = [{"id": 1, "name": "sky", "color": [1, 2, 3]}, {"id": 7, "name": "road marking", "color": [255, 0, 0]}]
    assert table(tmp_path, json.dumps(items), name="classes.json").category_ids == (1, 7)


def test_names_that_end_in_numbers_keep_them(tmp_path):
    found = table(tmp_path, "kind 7:1,2,3::\n4 5 6 kind 8", {"kind 7": 0, "kind 8": 1})
    assert found.colours == ((1, 2, 3), (4, 5, 6))


def test_mistakes_are_named_together(tmp_path):
    message = mistakes(tmp_path, "1 2 3 sky\n1 2 3 cloud\nroad\n1 2 300 road").message
    assert "'sky' and 'cloud' have the same colour (1, 2, 3)" in message
    assert "line 3: 'road' is not a colour and a name" in message
    assert "line 4: '1 2 300 road' has a number above 255" in message
    assert "the class 'road marking' has no colour" in message
    assert "three numbers and a name" in mistakes(tmp_path, "nothing here").message
    assert "entry 0 has no color" in mistakes(tmp_path, '[{"name": "sky"}]', name="c.json").message
    with pytest.raises(ScasegError, match=r"gone\.txt does not exist"):
        read_colours(tmp_path / "gone.txt", IDS)


def test_a_misspelt_class_and_an_empty_table_have_one_mistake_each(tmp_path):
    message = mistakes(tmp_path, "1 2 3 sky\n4 5 6 road markings\n7 8 9 Void").message
    assert message.endswith("the class 'road marking' has no colour; is it 'road markings'?")
    assert mistakes(tmp_path, "# nothing\n").message.endswith("it contains no line with three numbers and a name")


def test_a_colour_that_is_not_in_the_table_is_named_with_its_pixels(tmp_path):
    found = table(tmp_path, TABLES["CamVid"])
    pixels = np.array([[(128, 128, 128), (9, 8, 7), (9, 8, 7), (0, 0, 1)]], np.uint8)
    with pytest.raises(ScasegError) as caught:
        found.read(pixels, tmp_path / "a.png")
    assert (
        "the colours (9, 8, 7) (2 pixels), (0, 0, 1) (1 pixels), which are not in data.colours" in caught.value.message
    )


@pytest.mark.parametrize("change", [lambda image: image, Image.Image.quantize, lambda image: image.convert("RGBA")])
def test_painted_maps_have_the_classes_of_their_colours(tmp_path, change):
    classes = write_classes(tmp_path, [{"id": 1, "name": "sky"}, {"id": 7, "name": "road marking"}])
    (tmp_path / "colours.txt").write_text(TABLES["CamVid"] + "64 0 0 sky\n")
    pixels = np.array([[(128, 128, 128), (0, 0, 192), (0, 0, 0), (64, 0, 0)]] * 2, np.uint8)
    where = write_maps(tmp_path, "train", {"a": pixels[..., 0]})
    change(Image.fromarray(pixels)).save(tmp_path / where.labels / "a.png")
    labelled = scan_semantic_set(tmp_path, where, classes, "train", colours="colours.txt")
    record = labelled.images[0]
    assert [(segment.id, segment.category_id, segment.area) for segment in record.segments] == [(2, 1, 4), (8, 7, 2)]
    assert read_label(labelled, record).tolist() == [[2, 8, 0, 2]] * 2
    assert labelled.findings.without_class == {0: {2: 2}}
    write_index(tmp_path / "index.json", labelled)
    again = read_index(tmp_path / "index.json", tmp_path, where)
    assert again == labelled
    assert read_label(again, record).tolist() == [[2, 8, 0, 2]] * 2
