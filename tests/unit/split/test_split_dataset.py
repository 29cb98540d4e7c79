import json
from pathlib import Path

import numpy as np
import pytest
from outside_data import needs_outside, outside
from panoptic_files import CATEGORIES, striped, write_panoptic_set
from PIL import Image

from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import Recipe, load_recipe
from scaseg_cli.recipe.data_section import ImageSet
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.header_check import check_headers
from scaseg_cli.split.lists import open_set, read_image_ids
from scaseg_cli.split.split import split_dataset
from scaseg_cli.stages import require

CAT, DOG, COW, GRASS, SKY = (category["id"] for category in CATEGORIES)
SAMPLE = outside("coco_sample")
TRAIN = [striped(1, CAT, GRASS), striped(2, COW, GRASS), striped(3, DOG, SKY), striped(4, DOG, COW, crowd=True)]
VALIDATION = [striped(10 + number, COW, GRASS) for number in range(5)]


def own_recipe(root: Path, unseen="[cow]", **sets: ImageSet | None) -> Recipe:
    """A recipe on own data under ``root``; the embedded world's models do not matter here."""
    changes = [f"data.root={root}", "data.shapes=null", "data.selection=null", f"split.unseen={unseen}"]
    changes += [f"data.{part}={json.dumps(where and where.model_dump())}" for part, where in sets.items()]
    return load_recipe("shapes-zps", tuple(changes))


@pytest.fixture
def run(tmp_path):
    return RunDir(tmp_path / "run")


@pytest.fixture
def tiny(tmp_path):
    return own_recipe(
        tmp_path,
        train=write_panoptic_set(tmp_path, "train", TRAIN),
        validation=write_panoptic_set(tmp_path, "val", VALIDATION),
    )


def refusal(recipe: Recipe, run: RunDir) -> ScasegError:
    before = run.record("split")
    with pytest.raises(ScasegError) as caught:
        split_dataset(recipe, run)
    assert run.record("split") == before  # an earlier split stays as it was; none is taken for done
    return caught.value


def test_writes_classes_and_lists_and_reports_them(tiny, run):
    report = split_dataset(tiny, run)
    lists = read_image_ids(run)
    assert lists["train"] == [1, 3]
    assert len(lists["selection"]) == 1
    assert sorted(lists["selection"] + lists["validation"]) == [10, 11, 12, 13, 14]
    assert read_classes(run).names == ["cat", "dog", "grass", "sky", "cow"]
    assert report.next_command == "scaseg embed-classes"
    assert report.wrote == [run.classes_file, run.images_file]
    keys = ("list", "images", "with_unseen", "seen_segments", "unseen_segments", "dropped")
    assert [tuple(row.get(key) for key in keys) for row in report.tables[0].rows] == [
        ("train", 2, 0, 4, 0, 2),
        ("selection", 1, 1, 1, 1, None),
        ("validation", 4, 4, 4, 4, None),
    ]
    require(tiny, run, "split")
    summary = run.record("split")["summary"]
    assert summary == {"num_seen": 4, "num_unseen": 1, "train": 2, "selection": 1, "validation": 4, "dropped": 2}


def test_open_set_gives_the_lists_images(tiny, run):
    split_dataset(tiny, run)
    assert [record.image_id for record in open_set(tiny, run, "train").images] == [1, 3]
    selection, validation = open_set(tiny, run, "selection"), open_set(tiny, run, "validation")
    assert selection.images_dir == validation.images_dir
    assert not {r.image_id for r in selection.images} & {r.image_id for r in validation.images}


def test_a_second_split_gives_the_same_files(tiny, run, tmp_path):
    split_dataset(tiny, run)
    again = RunDir(tmp_path / "again")
    split_dataset(tiny, again)
    assert again.images_file.read_bytes() == run.images_file.read_bytes()
    assert again.classes_file.read_bytes() == run.classes_file.read_bytes()


def test_files_of_dropped_images_need_not_be_there_but_those_of_others(tiny, run, tmp_path):
    (tmp_path / "train" / "000000000002.jpg").unlink()
    split_dataset(tiny, run)
    (tmp_path / "train" / "000000000003.jpg").unlink()
    with pytest.raises(ScasegError, match=r"000000000003\.jpg does not exist"):
        open_set(tiny, run, "train")
    assert "000000000003.jpg does not exist" in refusal(tiny, run).message


def test_label_pngs_of_the_kept_images_are_sampled(tiny, run, tmp_path):
    label = tmp_path / "annotations" / "train" / "000000000002.png"
    label.write_bytes(b"")  # of an image that the split drops
    split_dataset(tiny, run)
    kept = label.with_name("000000000003.png")
    kept.write_bytes(kept.read_bytes()[:-30])  # its header is whole
    assert "000000000003.png cannot be read" in refusal(tiny, run).message
    split_dataset(tiny, run, check_png=0)
    kept.write_bytes(b"")
    with pytest.raises(ScasegError, match=r"000000000003\.png cannot be read"):
        split_dataset(tiny, run, check_png=0)


def test_all_wrong_headers_of_images_and_labels_are_named_at_once(tiny, run, tmp_path):
    (tmp_path / "train" / "000000000001.jpg").write_bytes(b"")
    Image.new("RGB", (9, 6)).save(tmp_path / "train" / "000000000003.jpg")
    Image.new("CMYK", (8, 6)).save(tmp_path / "annotations" / "val" / "000000000011.png", format="TIFF")
    message = refusal(tiny, run).message
    assert "the data has 3 mistakes" in message
    assert "000000000001.jpg cannot be read" in message
    assert "000000000003.jpg is 9 x 6 pixels, but the annotation file says 8 x 6" in message
    assert "000000000011.png has pixels of mode CMYK" in message


def test_unusual_images_are_counted(tiny, run, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (8, 6)).save(tmp_path / "train" / "000000000001.jpg", exif=exif)
    Image.fromarray(np.zeros((6, 8), np.uint16)).save(tmp_path / "train" / "000000000003.jpg", format="PNG")
    Image.new("RGBA", (8, 6)).save(tmp_path / "val" / "000000000010.jpg", format="PNG")
    notes = "\n".join(split_dataset(tiny, run).tables[0].notes)
    assert "Images of train with an EXIF orientation, ignored (data.exif: ignore): 1." in notes
    assert "Images of train with 16 bits, scaled to 8: 1." in notes
    assert "with transparency, composited on white: 1." in notes


def test_labels_that_differ_from_their_annotations_are_counted_over_what_was_read(tiny, run, tmp_path):
    edited(tmp_path, "train", lambda c: c["annotations"][0]["segments_info"].append({"id": 9, "category_id": CAT}))
    edited(tmp_path, "train", lambda c: c["annotations"][2]["segments_info"].pop())
    report = split_dataset(tiny, run, check_png=None)
    notes = "\n".join(report.tables[0].notes)
    assert "Labels of train with listed segments without a pixel: 1 of 2 read; this segment takes no part." in notes
    assert "Labels of train with pixels of no listed segment: 1 of 2 read; these pixels are void." in notes
    assert report.summary["left_out"]["train"] == {
        "labels with listed segments without a pixel": ["000000000001.png"],
        "labels with pixels of no listed segment": ["000000000003.png"],
    }


def test_several_processes_find_the_headers_that_one_finds(tiny, run):
    split_dataset(tiny, run)
    sets = {part: open_set(tiny, run, part) for part in ("train", "validation")}
    assert check_headers(sets, processes=2) == check_headers(sets, processes=1)


def test_notes_name_classes_that_cannot_be_learned_or_reported(tmp_path, run):
    recipe = own_recipe(
        tmp_path,
        "[cow, dog]",
        train=write_panoptic_set(tmp_path, "train", TRAIN),
        validation=write_panoptic_set(tmp_path, "val", VALIDATION),
    )
    notes = " ".join(split_dataset(recipe, run).tables[0].notes)
    assert "Seen classes in no training image: sky." in notes
    assert "Unseen classes in no validation image: dog." in notes


def test_a_named_selection_set_leaves_validation_whole(tmp_path, run):
    sets = {
        "train": write_panoptic_set(tmp_path, "train", TRAIN),
        "selection": write_panoptic_set(tmp_path, "sel", [striped(10, COW, SKY)]),  # an id that validation has too
        "validation": write_panoptic_set(tmp_path, "val", VALIDATION),
    }
    recipe = own_recipe(tmp_path, **sets)
    split_dataset(recipe, run)
    assert read_image_ids(run) == {"train": [1, 3], "selection": [10], "validation": [10, 11, 12, 13, 14]}
    assert open_set(recipe, run, "selection").images_dir == tmp_path / "sel"


@pytest.mark.parametrize("part", ["train", "selection", "validation"])
def test_an_empty_set_is_refused(tmp_path, run, part):
    sets = {"train": TRAIN, "selection": VALIDATION[:1], "validation": VALIDATION} | {part: []}
    wheres = {name: write_panoptic_set(tmp_path, name, images) for name, images in sets.items()}
    word = {"train": "training"}.get(part, part)
    assert f"the {word} annotations hold no image" in refusal(own_recipe(tmp_path, **wheres), run).message


def test_selection_and_validation_of_one_file_are_refused(tmp_path, run):
    where = write_panoptic_set(tmp_path, "val", VALIDATION)
    train = write_panoptic_set(tmp_path, "train", TRAIN)
    recipe = own_recipe(tmp_path, train=train, selection=where, validation=where)
    assert "5 images are both in selection and in validation" in refusal(recipe, run).message


def test_training_images_in_another_files_validation_are_refused(tmp_path, run):
    train = write_panoptic_set(tmp_path, "all", TRAIN + VALIDATION)
    other = write_panoptic_set(tmp_path, "val", [*VALIDATION, striped(3, DOG, SKY)])
    same_images = other.model_copy(update={"images": train.images})
    assert "both in train and in" in refusal(own_recipe(tmp_path, train=train, validation=same_images), run).message


def test_training_and_validation_of_one_file_are_allowed_with_a_note(tmp_path, run):
    where = write_panoptic_set(tmp_path, "all", TRAIN)
    report = split_dataset(own_recipe(tmp_path, train=where, validation=where), run)
    lists = read_image_ids(run)
    assert lists["train"] == [1, 3]
    assert sorted(lists["selection"] + lists["validation"]) == [1, 2, 3, 4]
    assert not set(lists["selection"]) & set(lists["validation"])
    assert any("that are trained on too" in note for note in report.tables[0].notes)


def test_other_categories_in_validation_are_refused(tmp_path, run):
    others = [*CATEGORIES[:-1], {"id": 187, "name": "heaven", "isthing": 0}]
    recipe = own_recipe(
        tmp_path,
        train=write_panoptic_set(tmp_path, "train", TRAIN),
        validation=write_panoptic_set(tmp_path, "val", VALIDATION, categories=others),
    )
    assert "data.train and data.validation differ in" in refusal(recipe, run).message


def test_an_annotation_file_without_the_splits_classes_is_refused(tiny, run, tmp_path):
    recipe = own_recipe(tmp_path, "coco-zps", train=tiny.data.train, validation=tiny.data.validation)
    message = refusal(recipe, run).message
    assert message.startswith("split.unseen (coco-zps) names 13 of 14 classes that the data lacks:")
    assert "'giraffe'" in message
    assert "'cow'" not in message


def test_a_split_that_leaves_no_training_image_is_refused(tiny, run, tmp_path):
    recipe = own_recipe(tmp_path, "[grass, dog]", train=tiny.data.train, validation=tiny.data.validation)
    assert "all 4 hold segments of unseen classes" in refusal(recipe, run).message


def test_draws_the_embedded_world_once(run):
    few = ("data.shapes.num_train=6", "data.shapes.num_selection=2", "data.shapes.num_validation=3")
    recipe = load_recipe("shapes-zps", (*few, "data.shapes.image_size=32", "data.shapes.unseen_fraction=0.0"))
    report = split_dataset(recipe, run)
    assert [row["images"] for row in report.tables[0].rows] == [6, 2, 3]
    assert run.record("data")["summary"] == {"train": 6, "selection": 2, "validation": 3}
    made = (run.path / "data" / "annotations" / "panoptic_train.json").stat().st_mtime_ns
    split_dataset(recipe, run)
    assert (run.path / "data" / "annotations" / "panoptic_train.json").stat().st_mtime_ns == made
    (run.path / "data" / "annotations" / "panoptic_validation.json").unlink()
    split_dataset(recipe, run)
    assert len(open_set(recipe, run, "validation").images) == 3
    assert (run.path / "data" / "annotations" / "panoptic_train.json").stat().st_mtime_ns != made


@needs_outside("coco_sample")
class TestCocoSample:
    WHERE = ImageSet(images="input_images", annotations="panoptic_examples.json", labels="panoptic_examples")

    def test_the_published_split_leaves_neither_image(self, run):
        recipe = own_recipe(SAMPLE, "coco-zps", train=self.WHERE, validation=self.WHERE)
        message = refusal(recipe, run).message
        assert "all 2 hold segments of unseen classes" in message
        assert "grass-merged (2), sky-other-merged (2), tree-merged (2)" in message

    def test_an_own_split_works(self, run):
        recipe = own_recipe(SAMPLE, "[horse, truck]", train=self.WHERE, validation=self.WHERE)
        split_dataset(recipe, run)
        assert read_image_ids(run)["train"] == [142238]
        assert read_classes(run).num_seen == 131
        assert [record.image_id for record in open_set(recipe, run, "train").images] == [142238]


def edited(tmp_path: Path, part: str, change) -> None:
    path = tmp_path / "annotations" / f"{part}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_where_nothing_is_a_thing_a_note_names_the_key(tiny, run, tmp_path):
    for part in ("train", "val"):
        edited(tmp_path, part, lambda content: [category.update(isthing=0) for category in content["categories"]])
    notes = "\n".join(split_dataset(tiny, run).tables[0].notes)
    assert "isthing is 0 or missing for all classes, so none is a thing. data.things names the things" in notes
    things = tiny.model_copy(update={"data": tiny.data.model_copy(update={"things": ["cat", "dog", "cow"]})})
    assert "data.things" not in "\n".join(split_dataset(things, run).tables[0].notes)
    assert [item.name for item in read_classes(run).classes if item.isthing] == ["cat", "dog", "cow"]
    assert [category.name for category in open_set(things, run, "train").categories if category.isthing] == [
        "cat", "dog", "cow",
    ]  # fmt: skip


def test_stuff_with_several_segments_in_one_image_is_noted(tmp_path, run):
    train = [striped(1, CAT, GRASS, GRASS), striped(2, GRASS, GRASS), striped(3, SKY)]
    recipe = own_recipe(
        tmp_path,
        train=write_panoptic_set(tmp_path, "train", train),
        validation=write_panoptic_set(tmp_path, "val", VALIDATION),
    )
    notes = "\n".join(split_dataset(recipe, run).tables[0].notes)
    assert "Stuff with several segments in one training image: grass (2 images). data.things names" in notes


def test_what_has_no_partner_is_left_out_counted_and_listed(tiny, run, tmp_path):
    edited(tmp_path, "train", lambda content: content["annotations"].pop(0))
    edited(tmp_path, "val", lambda content: content["images"].pop())
    report = split_dataset(tiny, run)
    notes = "\n".join(report.tables[0].notes)
    assert "Images of train without a label, left out: 1 of 4 read." in notes
    assert "Labels of validation without an image, left out: 1 of 5 read." in notes
    assert report.summary["left_out"] == {
        "train": {"images without a label": ["000000000001.jpg"]},
        "validation": {"labels without an image": ["000000000014.png"]},
    }
    assert read_image_ids(run)["train"] == [3]


def test_text_ids_are_kept_in_the_lists(tiny, run, tmp_path):
    def rename(content):
        for image, annotation in zip(content["images"], content["annotations"], strict=True):
            image["id"] = annotation["image_id"] = f"frankfurt_{image['id']}"

    edited(tmp_path, "train", rename)
    edited(tmp_path, "val", rename)
    split_dataset(tiny, run)
    assert read_image_ids(run)["train"] == ["frankfurt_1", "frankfurt_3"]
    assert [record.image_id for record in open_set(tiny, run, "train").images] == ["frankfurt_1", "frankfurt_3"]
