import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from panoptic_files import CATEGORIES, striped, write_panoptic_set
from PIL import Image
from segmentor_outputs import GivenOutputs

from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.images import read_label
from scaseg_cli.data.records import ImageRecord, LabelledSet, Segment
from scaseg_cli.drawing.class_styles import ClassStyle, class_styles
from scaseg_cli.drawing.regions import CELL, Region, draw_image, draw_regions
from scaseg_cli.embeddings.encoders import VectorSource
from scaseg_cli.embeddings.store import ClassEmbeddings
from scaseg_cli.evaluation import scored_set
from scaseg_cli.evaluation.candidates import Candidate
from scaseg_cli.evaluation.pictures import examples
from scaseg_cli.evaluation.pictures.examples import Shown, chosen_images, draw_rows, save_examples
from scaseg_cli.evaluation.pictures.regions import labelled_regions, nearest_in_words, predicted_regions, taken_for
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.evaluation.semantic_inference import SemanticInference
from scaseg_cli.measures.fusion import Prediction
from scaseg_cli.measures.panoptic_quality import prepare_label
from scaseg_cli.measures.semantic import SemanticMeasure
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import class_list, write_classes

CAT, DOG, COW, GRASS, SKY = (category["id"] for category in CATEGORIES)
SEEN, UNSEEN = ClassStyle("red square", (220, 30, 30), False), ClassStyle("blue ring", (30, 30, 220), True)


def record(image_id: int, *category_ids: int) -> ImageRecord:
    segments = tuple(Segment(i + 1, c, 9, False) for i, c in enumerate(category_ids))
    return ImageRecord(image_id, f"{image_id}.jpg", f"{image_id}.png", 8, 6, segments)


@pytest.fixture
def data(tmp_path):
    colours = {DOG: [10, 20, 30], CAT: "red", COW: [1, 2, 256], GRASS: [1.0, 2, 3], SKY: None}
    categories = [{**category, "color": colours[category["id"]]} for category in CATEGORIES]
    where = write_panoptic_set(tmp_path, "val", [striped(4, DOG, COW), striped(2, CAT, GRASS)], categories)
    images = read_panoptic_set(tmp_path, where)
    return images, class_list(images.categories, ["cow"]), where


def test_unseen_classes_take_turns_by_image_id_then_others_follow(tmp_path, data):
    classes = class_list(data[0].categories, ["cow", "sky"])
    images = (record(1, COW), record(2, COW), record(4, CAT), record(3, COW, SKY), record(8, SKY), record(0, DOG))
    whole = LabelledSet(tmp_path, tmp_path, (), images)
    assert [r.image_id for r in chosen_images(whole, classes, 9)] == [1, 3, 2, 8, 0, 4]
    assert [r.image_id for r in chosen_images(whole, classes, 3)] == [1, 3, 2]
    crowded = LabelledSet(tmp_path, tmp_path, (), (record(5, COW, SKY), record(6, COW), record(7, SKY)))
    assert [r.image_id for r in chosen_images(crowded, classes, 3)] == [5, 7, 6]


def test_the_first_images_by_id_with_an_unseen_class_are_shown_then_others(tmp_path, data):
    images = (record(9, COW), record(3, CAT), record(5, DOG, COW), record(1, SKY), record(7, COW))
    whole = LabelledSet(tmp_path, tmp_path, (), images)
    assert [r.image_id for r in chosen_images(whole, data[1], 2)] == [5, 7]
    assert [r.image_id for r in chosen_images(whole, data[1], 4)] == [5, 7, 9, 1]


def test_false_positives_are_marked_wrong():
    label = np.zeros((4, 8), np.int32)
    label[:, :3], label[:, 3:6] = 1, 2  # the last two columns are void
    prepared = prepare_label(label, [1, 2], [0, 1], [False, False])
    found = np.zeros((4, 8), np.int32)
    found[:, :2], found[:, 3:6], found[:, 6:] = 1, 2, 3
    styles = [SEEN, UNSEEN]
    regions = predicted_regions(Prediction(found, np.array([0, 0, 1])), prepared, styles)
    assert [(region.style, region.wrong) for region in regions] == [(SEEN, False), (SEEN, True), (UNSEEN, False)]
    assert [int(region.mask_HW.sum()) for region in regions] == [8, 12, 8]


def test_labelled_regions_are_the_segments_of_the_label(data):
    images, classes, _ = data
    styles = class_styles(images, classes)
    regions = labelled_regions(images, images.images[0], classes, styles)
    assert [region.style.name for region in regions] == ["dog", "cow"]
    ids = read_label(images, images.images[0])
    for region, segment in zip(regions, images.images[0].segments, strict=True):
        assert (region.mask_HW == (ids == segment.id)).all()


class Masks:
    """A stand-in for the segmentor: query 0 covers the left half, query 1 the right half."""

    def __init__(self) -> None:
        self.num_images = 0

    def encode(self, images):
        self.num_images += len(images)
        height, width = images[0].shape[:2]
        masks = torch.full((2, height, width), 0.01)
        masks[0, :, : width // 2], masks[1, :, width // 2 :] = 0.99, 0.99
        return [GivenOutputs(torch.eye(2, 4), masks)]


def classifier() -> CosineClassifier:
    """A classifier that calls query 0 dog, and query 1 grass, with cow close behind."""
    projector = ClassProjector(4, 4)
    for layer in (projector[0], projector[2]):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    rows = [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1], [0, 1.0, 0.1, 0]]
    made = CosineClassifier(projector, F.normalize(torch.tensor(rows), dim=1), 0.07)
    with torch.no_grad():
        made.no_object.copy_(torch.tensor([-1.0, -1.0, 0, 0]))
    return made.requires_grad_(False).eval()


def embeddings(*names: str, nearest: dict[str, str]) -> ClassEmbeddings:
    """Embeddings of classes, the unseen ones last and each nearest to the seen class that is named."""
    vectors = torch.eye(len(names), len(names))
    for unseen, seen in nearest.items():
        vectors[names.index(unseen)] += 2 * vectors[names.index(seen)]
    return ClassEmbeddings(list(names), F.normalize(vectors, dim=1), "", VectorSource("made up", None), ())


EMBEDDINGS = embeddings("cat", "dog", "grass", "sky", "cow", nearest={"cow": "dog"})


def test_each_unseen_class_of_an_image_is_named_with_its_nearest_seen_class(data):
    classes = class_list(data[0].categories, ["cow", "sky"])
    assert classes.names == ["cat", "dog", "grass", "cow", "sky"]
    made = embeddings(*classes.names, nearest={"cow": "dog", "sky": "grass"})
    assert made.nearest_seen(3) == [1, 2]
    assert nearest_in_words(record(1, SKY, CAT, COW), classes, made) == "nearest seen class of cow: dog, of sky: grass"
    assert nearest_in_words(record(1, COW, DOG), classes, made) == "nearest seen class of cow: dog"
    assert nearest_in_words(record(1, DOG), classes, made) == ""


@pytest.fixture
def run(tmp_path, data, monkeypatch):
    images, classes, where = data
    changes = [f"data.root={tmp_path}", "data.shapes=null", "data.selection=null", "split.unseen=[cow]"]
    changes += [f"data.{part}={json.dumps(where.model_dump())}" for part in ("train", "validation")]
    run = RunDir(tmp_path / "run")
    write_classes(run, "zps", classes)
    segmentor = Masks()
    monkeypatch.setattr(scored_set, "load_segmentor", lambda *_: segmentor)
    monkeypatch.setattr(scored_set, "open_set", lambda *_: images)
    return load_recipe("shapes-zps", (*changes, "evaluation.object_threshold=0.2")), run


def draw(recipe, run_dir, shown, number=6):
    scored = ScoredSet(recipe, run_dir, "validation")
    (rows,) = draw_rows(scored, [(recipe, shown)], number)
    save_examples(recipe, run_dir, scored, shown, rows, EMBEDDINGS)
    return run_dir.examples_file.read_bytes()


def test_the_picture_shows_each_candidates_prediction_and_leaves_no_temporary_file(run, monkeypatch):
    recipe, run_dir = run
    drawn = []

    def kept(image, regions):
        drawn.append([(region.style.name, region.wrong) for region in regions])
        return draw_regions(image, regions)

    monkeypatch.setattr(examples, "draw_regions", kept)
    made = classifier()
    plain, raised = Candidate("inductive", made), Candidate("transductive", made, 1.0)
    draw(recipe, run_dir, [Shown("inductive", "", plain), Shown("transductive", "", raised)], 1)
    assert drawn == [
        [("dog", False), ("cow", False)],
        [("dog", False), ("grass", True)],
        [("dog", False), ("cow", False)],
    ]
    assert [path.name for path in run_dir.examples_file.parent.iterdir()] == ["examples.png"]
    with Image.open(run_dir.examples_file) as picture:
        assert picture.format == "PNG"
        assert picture.width == 4 * CELL + 3 * 10 + 2 * 18


def test_a_semantic_prediction_is_drawn_by_class_over_the_whole_image(run, monkeypatch):
    recipe, run_dir = run
    inference = SemanticInference(SemanticMeasure(np.arange(5) < 4), torch.device("cpu"))
    monkeypatch.setattr(scored_set, "inference_of", lambda *_: inference)
    drawn = []
    monkeypatch.setattr(examples, "draw_regions", lambda image, regions: drawn.append(regions) or draw_image(image))
    draw(recipe, run_dir, [Shown("inductive", "", Candidate("inductive", classifier(), 1.0))], 1)
    label, found = drawn
    assert [(region.style.name, region.wrong) for region in found] == [("dog", False), ("cow", False)]
    assert sum(int(region.mask_HW.sum()) for region in found) == label[0].mask_HW.size
    assert sum(int(region.mask_HW.sum()) for region in label) < label[0].mask_HW.size  # the last column is void


def test_pictures_of_many_runs_segment_each_image_once(run):
    recipe, run_dir = run
    high = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"object_threshold": 1.0})})
    shown = [Shown("inductive", "remark", Candidate("inductive", classifier(), 1.0))]
    scored = ScoredSet(recipe, run_dir, "validation")
    (first, second, third) = draw_rows(scored, [(recipe, shown), (high, shown), (recipe, [*shown, *shown])])
    assert scored.segmentor.num_images == 2
    assert [row.file_name for row in first] == [row.file_name for row in second]
    assert [len(row.cells) for row in first + third] == [3, 3, 4, 4]

    def last(rows):
        return [np.asarray(row.cells[-1]).tolist() for row in rows]

    assert last(first) == last(third)
    assert last(first) != last(second)  # a threshold of 1 keeps nothing


def test_the_same_picture_comes_out_again_byte_for_byte(run):
    recipe, run_dir = run
    shown = [Shown("inductive", "remark", Candidate("inductive", classifier(), 1.0))]
    assert draw(recipe, run_dir, shown) == draw(recipe, run_dir, shown)


def test_an_unseen_object_says_what_most_of_its_pixels_were_taken_for():
    styles = [SEEN, UNSEEN, ClassStyle("sky", (0, 0, 0), True)]
    masks = np.zeros((3, 6, 8), bool)
    masks[0, :, :2], masks[1, :, 2:4], masks[2, :, 4:8] = True, True, True
    labelled = [Region(masks[0], UNSEEN), Region(masks[1], SEEN), Region(masks[2], styles[2])]
    found = np.zeros((6, 8), np.int32)
    found[:4, :2], found[4:, :2], found[:, 4:6] = 1, 2, 3
    taken = taken_for(labelled, Prediction(found, np.array([0, 1, 2])), styles)
    assert taken == [{"category": "blue ring", "taken_for": "red square", "area": 12}]
    nothing = taken_for(labelled, Prediction(np.zeros((6, 8), np.int32), np.zeros(0, np.int64)), styles)
    assert [(item["category"], item["taken_for"]) for item in nothing] == [("sky", None), ("blue ring", None)]
