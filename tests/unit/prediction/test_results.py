"""Maps, overlays and segments of an image as they are written."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff
from scaseg_cli.data.images import rgb_to_ids
from scaseg_cli.drawing.class_styles import palette_colour
from scaseg_cli.prediction.model import Segments
from scaseg_cli.prediction.results import as_png, categories_of, draw_map, draw_overlay, segments_info, styles_of
from scaseg_cli.prediction.vocabulary import Vocabulary, VocabularyClass
from scaseg_cli.shapes.world import CLASSES

VOCABULARY = Vocabulary(
    (
        VocabularyClass("zebra", True, 24, 5, True),
        VocabularyClass("lawn", False, 201, None, False),
        VocabularyClass("road", False, 149, 9, False),
    )
)


def segments(rows: list[list[int]], places: list[int]) -> Segments:
    return Segments(np.array(rows, np.int32), np.array(places), np.linspace(0.9, 0.5, len(places)))


FOUND = segments([[1, 1, 0, 2], [1, 3, 3, 2], [0, 3, 2, 2]], [0, 1, 0])


def test_segments_have_cocos_keys():
    assert segments_info(FOUND, VOCABULARY, semantic=False) == [
        {"id": 1, "category_id": 24, "category": "zebra", "isthing": 1, "score": 0.9, "area": 3, "bbox": [0, 0, 2, 2],
         "iscrowd": 0},
        {"id": 2, "category_id": 201, "category": "lawn", "isthing": 0, "score": 0.7, "area": 4, "bbox": [2, 0, 2, 3],
         "iscrowd": 0},
        {"id": 3, "category_id": 24, "category": "zebra", "isthing": 1, "score": 0.5, "area": 3, "bbox": [1, 1, 2, 2],
         "iscrowd": 0},
    ]  # fmt: skip


def test_in_a_label_map_a_segments_id_is_its_category():
    assert [item["id"] for item in segments_info(FOUND, VOCABULARY, semantic=True)] == [24, 201, 24]


def test_nothing_found_is_an_empty_list():
    assert segments_info(segments([[0, 0]], []), VOCABULARY, semantic=False) == []


@pytest.mark.parametrize("side", [1, 40])
def test_areas_and_boxes_of_any_map(side):
    rng = np.random.default_rng(side)
    drawn = rng.integers(1, 5, (side, side + 3)).astype(np.int32)
    drawn[: side // 2] = np.sort(drawn[: side // 2], axis=1)
    present, places = np.unique(drawn, return_inverse=True)
    dense = (places + 1).reshape(drawn.shape).astype(np.int32)
    found = segments_info(segments(dense.tolist(), [0] * len(present)), VOCABULARY, semantic=False)
    for number, item in enumerate(found, start=1):
        rows, columns = np.nonzero(dense == number)
        assert item["area"] == len(rows)
        assert item["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def read_back(segments: Segments, ids: list[int], semantic: bool) -> Image.Image:
    return Image.open(BytesIO(as_png(draw_map(segments, ids, semantic))))


def test_a_panoptic_png_holds_the_ids_as_colours():
    image = read_back(FOUND, [1, 256, 70_000], semantic=False)
    assert image.mode == "RGB"
    ids = rgb_to_ids(np.array(image))
    assert ids.tolist() == [[1, 1, 0, 256], [1, 70_000, 70_000, 256], [0, 70_000, 256, 256]]


@pytest.mark.parametrize(("last", "mode"), [(201, "L"), (300, "I;16")])
def test_a_label_map_holds_one_grey_value_per_pixel(last, mode):
    image = read_back(segments([[1, 2], [2, 3]], [0, 1, 2]), [24, 0, last], semantic=True)
    assert image.mode == mode
    assert np.array(image).tolist() == [[24, 0], [0, last]]


def test_categories_say_which_classes_training_saw():
    assert categories_of(VOCABULARY)[:2] == [
        {"id": 24, "name": "zebra", "isthing": 1, "seen": True},
        {"id": 201, "name": "lawn", "isthing": 0, "seen": False},
    ]


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((64, 64), (512, 512)), ((300, 200), (300, 200)), ((1500, 3000), (512, 1024)), ((1, 1), (512, 512))],
)
def test_an_overlay_has_a_viewable_size(size, drawn):
    image = np.full((*size, 3), 90, np.uint8)
    overlay = draw_overlay(image, Segments(np.ones(size, np.int32), np.array([1]), np.ones(1)), styles_of(VOCABULARY))
    assert (overlay.height, overlay.width) == drawn


def test_known_classes_have_their_own_colour_whatever_the_run():
    names = ["zebra", "Sky", "red ring", "nothing that anybody knows"]
    styles = styles_of(
        Vocabulary(tuple(VocabularyClass(name, True, 300 + k, None, False) for k, name in enumerate(names)))
    )
    coco = {item.name: item.colour for item in coco_panoptic()}
    world = {item.name: item.label_colour for item in CLASSES}
    assert [style.colour for style in styles] == [
        coco["zebra"], coco["sky-other-merged"], world["red ring"], palette_colour(303),
    ]  # fmt: skip


def test_with_label_maps_cocos_classes_have_coco_stuffs_colours():
    names = ["zebra", "clouds"]
    styles = styles_of(
        Vocabulary(tuple(VocabularyClass(name, False, k, None, False) for k, name in enumerate(names))), True
    )
    coco = {item.name: item.colour for item in coco_stuff()}
    assert [style.colour for style in styles] == [coco[name] for name in names]


def test_an_overlay_shows_each_class_in_its_colour():
    styles = styles_of(VOCABULARY)
    assert [style.unseen for style in styles] == [False, True, True]
    assert len({style.colour for style in styles}) == 3
    halves = np.ones((600, 600), np.int32)
    halves[:, 300:] = 2
    image = np.full((600, 600, 3), 120, np.uint8)
    drawn = [
        np.asarray(draw_overlay(image, Segments(halves, np.array(places), np.ones(2)), styles))
        for places in ([0, 0], [0, 2])
    ]
    left, right = ([part[20, x].tolist() for part in drawn] for x in (20, 580))  # no name is written there
    assert left[0] == left[1]
    assert right[0] == left[0]
    assert right[1] != right[0]
