"""The split of label maps: which images stay, what is ignored, and what later stages read."""

import json

import pytest
from PIL import Image
from semantic_files import CLASSES, columns, write_classes, write_maps

from scaseg_cli.base.augmentation import semantic_segments
from scaseg_cli.data.images import read_label
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import Recipe, load_recipe
from scaseg_cli.recipe.data_section import ImageSet
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.lists import open_set, read_image_ids
from scaseg_cli.split.split import split_dataset
from scaseg_cli.stages import is_done, require

CAT, COW, GRASS = 0, 1, 2
# 1: seen alone; 2: seen and unseen; 3: unseen alone; 4: ignored alone; 5: seen, unseen and ignored
TRAIN = {"1": columns(CAT, GRASS), "2": columns(CAT, COW), "3": columns(COW, COW), "4": columns(255, 255),
         "5": columns(GRASS, COW, 255, 255)}  # fmt: skip
VALIDATION = {str(number): columns(COW, GRASS, CAT) for number in range(10, 15)}


def own_recipe(root, unseen="[cow]", categories="classes.json", **sets: ImageSet | None) -> Recipe:
    """A recipe on own data under ``root``; the embedded world's models do not matter here."""
    changes = [f"data.root={root}", "data.shapes=null", "data.selection=null", f"split.unseen={unseen}"]
    changes += [f"data.{part}={json.dumps(where and where.model_dump())}" for part, where in sets.items()]
    return load_recipe("shapes-zss", (*changes, f"data.categories={categories}"))


@pytest.fixture
def run(tmp_path):
    return RunDir(tmp_path / "run")


@pytest.fixture
def tiny(tmp_path):
    write_classes(tmp_path)
    train, validation = write_maps(tmp_path, "train", TRAIN), write_maps(tmp_path, "val", VALIDATION)
    return own_recipe(tmp_path, train=train, validation=validation)


def refusal(recipe: Recipe, run: RunDir) -> ScasegError:
    before = run.record("split")
    with pytest.raises(ScasegError) as caught:
        split_dataset(recipe, run)
    assert run.record("split") == before  # an earlier split stays as it was; none is taken for done
    return caught.value


def test_images_with_anything_seen_stay(tiny, run):
    report = split_dataset(tiny, run)
    lists = read_image_ids(run)
    assert lists["train"] == [1, 2, 5]
    assert sorted(lists["selection"] + lists["validation"]) == [10, 11, 12, 13, 14]
    assert read_classes(run).names == ["cat", "grass", "sky", "cow"]
    indexes = [run.label_index_file("train"), run.label_index_file("validation")]
    assert report.wrote == [run.classes_file, run.images_file, *indexes]
    assert not run.label_index_file("selection").exists()
    require(tiny, run, "split")


def test_the_table_counts_classes_in_images_and_ignored_pixels(tiny, run):
    report = split_dataset(tiny, run)
    keys = ("list", "images", "with_unseen", "seen_segments", "unseen_segments", "dropped")
    assert [tuple(row.get(key) for key in keys) for row in report.tables[0].rows] == [
        ("train", 3, 2, 4, 2, 2),
        ("selection", 1, 1, 2, 1, None),
        ("validation", 4, 4, 8, 4, None),
    ]
    # of 8 + 8 + 16 pixels 4 + 4 are cows' and 8 nobody's
    assert report.tables[0].rows[0]["ignored"] == 16 / 32
    assert report.tables[0].columns[-1].kind == "percent"
    assert "Seen classes in no training image: sky." in report.tables[0].notes
    assert any("without a pixel of a seen class" in note for note in report.tables[0].notes)
    assert run.record("split")["summary"] == {
        "num_seen": 3, "num_unseen": 1, "train": 3, "selection": 1, "validation": 4, "dropped": 2, "ignored": 0.5,
    }  # fmt: skip


def test_open_set_reads_the_index_whatever_comes_later(tiny, run, tmp_path):
    split_dataset(tiny, run)
    before = open_set(tiny, run, "train")
    assert [record.image_id for record in before.images] == [1, 2, 5]
    assert read_label(before, before.images[2]).tolist() == [[3, 2, 0, 0]] * 4
    write_maps(tmp_path, "train", {"0": columns(CAT), "6": columns(CAT)})
    assert open_set(tiny, run, "train") == before
    assert is_done(tiny, run, "split")
    selection, validation = open_set(tiny, run, "selection"), open_set(tiny, run, "validation")
    assert selection.labels_dir == validation.labels_dir == tmp_path / "maps" / "val"
    assert len(selection.images) + len(validation.images) == 5


def test_open_set_misses_files_that_are_gone(tiny, run, tmp_path):
    split_dataset(tiny, run)
    (tmp_path / "maps" / "train" / "2.png").unlink()
    with pytest.raises(ScasegError, match=r"the folder of label maps .*: 2\.png does not exist"):
        open_set(tiny, run, "train")


def test_a_changed_index_is_not_taken_for_the_splits(tiny, run):
    split_dataset(tiny, run)
    path = run.label_index_file("train")
    path.write_text(path.read_text().replace('"0":4', '"0":5'))
    with pytest.raises(ScasegError, match=r"label-maps-train\.json is not what the split stage wrote"):
        require(tiny, run, "split")


def test_a_second_split_gives_the_same_files(tiny, run, tmp_path):
    again = RunDir(tmp_path / "again")
    wrote = split_dataset(tiny, run).wrote
    for one, other in zip(wrote, split_dataset(tiny, again).wrote, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_named_selection_set_has_an_index_of_its_own(tiny, run, tmp_path):
    where = write_maps(tmp_path, "sel", {"30": columns(COW, CAT)})
    recipe = own_recipe(tmp_path, train=tiny.data.train, validation=tiny.data.validation, selection=where)
    split_dataset(recipe, run)
    assert read_image_ids(run)["selection"] == [30]
    assert open_set(recipe, run, "selection").images_dir == tmp_path / "sel"


def test_training_and_validation_of_one_folder_are_allowed_with_a_note(tiny, run):
    recipe = tiny.model_copy(update={"data": tiny.data.model_copy(update={"validation": tiny.data.train})})
    report = split_dataset(recipe, run)
    assert report.wrote[2:] == [run.label_index_file("train")]
    assert any("that are trained on too" in note for note in report.tables[0].notes)


def test_a_split_that_leaves_no_training_image_is_refused(tiny, run, tmp_path):
    recipe = own_recipe(tmp_path, "[cat, cow, grass]", train=tiny.data.train, validation=tiny.data.validation)
    assert "none of 5 holds a pixel of a seen class" in refusal(recipe, run).message


def test_unseen_names_and_files_are_checked_before_label_maps_are_read(tiny, run, tmp_path):
    for path in (tmp_path / "maps" / "train").iterdir():
        path.write_bytes(b"not looked at")
    recipe = own_recipe(tmp_path, "[cows]", train=tiny.data.train, validation=tiny.data.validation)
    assert "names 1 of 1 classes that the data lacks" in refusal(recipe, run).message
    for path in (tmp_path / "maps" / "val").iterdir():
        path.rename(path.with_stem(f"m{path.stem}"))
    assert "none of 5 images" in refusal(tiny, run).message


def test_a_wrong_label_map_leaves_an_earlier_split_as_it_was(tiny, run, tmp_path):
    split_dataset(tiny, run)
    before = run.label_index_file("train").read_bytes()
    write_maps(tmp_path, "train", {"6": columns(CAT)})
    Image.new("RGB", (3, 4), (1, 2, 3)).save(tmp_path / "maps" / "val" / "12.png")
    assert "12.png has pixels of mode RGB" in refusal(tiny, run).message
    assert run.label_index_file("train").read_bytes() == before
    require(tiny, run, "split")


def test_other_classes_make_the_split_stale(tiny, run, tmp_path):
    split_dataset(tiny, run)
    write_classes(tmp_path, [*CLASSES, {"id": 9, "name": "dog"}])
    assert not is_done(tiny, run, "split")


def test_a_note_reports_coco_stuffs_own_maps(run, tmp_path):
    person, cow, unlabelled = 0, 20, 255  # COCO-Stuff's ids 1 and 21
    sets = {
        "train": write_maps(tmp_path, "train", {"000000000009": columns(person, cow, unlabelled)}),
        "validation": write_maps(tmp_path, "val", {f"{number:012d}": columns(cow, person) for number in (1, 2, 3)}),
    }
    recipe = own_recipe(tmp_path, "coco-zss", "coco-stuff", **sets)
    report = split_dataset(recipe, run)
    assert any("COCO-Stuff's own ids" in note for note in report.tables[0].notes)
    assert report.tables[0].title == "shapes-zss: 156 seen and 15 unseen classes"
    train = open_set(recipe, run, "train")
    assert [segment.category_id for segment in train.images[0].segments] == [0, 19]
    assert read_classes(run).unseen_category_ids == {19, 23, 28, 29, 36, 51, 76, 88, 94, 112, 133, 136, 137, 157, 160}
    assert read_classes(run).class_ids[19] == 156


class TestEmbeddedWorld:
    FEW = ("data.shapes.num_train=6", "data.shapes.num_selection=2", "data.shapes.num_validation=3")
    SMALL = (*FEW, "data.shapes.image_size=32", "data.shapes.unseen_fraction=0.0")

    def test_both_recipes_read_the_same_world(self, run):
        semantic, panoptic = load_recipe("shapes-zss", self.SMALL), load_recipe("shapes-zps", self.SMALL)
        report = split_dataset(semantic, run)
        assert [row["images"] for row in report.tables[0].rows] == [6, 2, 3]
        made = (run.path / "data" / "annotations" / "categories.json").stat().st_mtime_ns
        names = read_classes(run).names
        maps = open_set(semantic, run, "train")
        split_dataset(panoptic, run)
        assert (run.path / "data" / "annotations" / "categories.json").stat().st_mtime_ns == made
        assert read_classes(run).names == names
        pngs = open_set(panoptic, run, "train")
        assert [maps.image_path(record) for record in maps.images] == [pngs.image_path(r) for r in pngs.images]

    @pytest.mark.parametrize("gone", ["categories.json", "semantic_selection"])
    def test_a_world_without_label_maps_is_drawn_again(self, run, gone):
        """As in a run folder of a version that drew none."""
        split_dataset(load_recipe("shapes-zps", self.SMALL), run)
        path = run.path / "data" / "annotations" / gone
        path.rename(path.with_name("elsewhere"))
        recipe = load_recipe("shapes-zss", self.SMALL)
        split_dataset(recipe, run)
        assert len(open_set(recipe, run, "validation").images) == 3


def notes(recipe: Recipe, run: RunDir) -> str:
    return "\n".join(split_dataset(recipe, run).tables[0].notes)


def test_values_of_no_class_are_named_with_their_pixels(tmp_path, run):
    write_classes(tmp_path)
    train = write_maps(
        tmp_path, "train", {"1": columns(CAT, CAT, 9, 255), "2": columns(GRASS, 255), "3": columns(9, 9)}
    )
    recipe = own_recipe(tmp_path, train=train, validation=write_maps(tmp_path, "val", VALIDATION))
    assert "set data.ignored to [9]" in refusal(recipe, run).hint
    ignoring = recipe.model_copy(update={"data": recipe.data.model_copy(update={"ignored": [9]})})
    # image 3 has no seen class, so it is dropped, and the note counts the training images
    assert "Values of no class in the training label maps: 255 (8 pixels), 9 (4 pixels)." in notes(ignoring, run)
    assert read_label(open_set(ignoring, run, "train"), open_set(ignoring, run, "train").images[0])[0].tolist() == [
        1,
        1,
        0,
        0,
    ]


def test_a_listed_class_whose_value_is_ignored_is_noted(tiny, run):
    ignoring = tiny.model_copy(update={"data": tiny.data.model_copy(update={"ignored": [GRASS]})})
    said = notes(ignoring, run)
    assert "Classes whose value is in data.ignored, and which are therefore no classes: grass." in said
    assert "grass" not in read_classes(run).names
    assert "data.ignored" not in notes(tiny, run)


def test_ignored_values_leave_the_unseen_and_a_seen_class(tiny, run):
    def ignoring(*values):
        return tiny.model_copy(update={"data": tiny.data.model_copy(update={"ignored": list(values)})})

    error = refusal(ignoring(COW), run)
    assert error.message == "split.unseen names 'cow', whose value is in data.ignored"
    assert "data.ignored leaves no class of data.categories" in refusal(ignoring(CAT, COW, GRASS, 300), run).message


def test_listed_names_without_a_file_are_counted(tiny, run, tmp_path):
    (tmp_path / "train.txt").write_text("1\n2\n77\nnowhere\n")
    train = tiny.data.train.model_copy(update={"list": "train.txt"})
    report = split_dataset(tiny.model_copy(update={"data": tiny.data.model_copy(update={"train": train})}), run)
    assert "Names in data.train.list without a file, left out: 2: 77, nowhere." in report.tables[0].notes
    assert report.summary["left_out"]["train"] == {"listed names without a file": ["77", "nowhere"]}
    assert report.summary["train"] == 2


def test_what_is_left_out_is_counted_and_names_the_key(tiny, run, tmp_path):
    for name in ("2.png", "4.png"):
        (tmp_path / "maps" / "train" / name).rename(tmp_path / "maps" / "train" / f"m{name}")
    found = notes(tiny, run)
    assert "Images of train without a label, left out: 2 of 5 read. data.train.list names those to use." in found
    assert "Labels of train without an image, left out: 2 of 5 read." in found
    assert read_image_ids(run)["train"] == [1, 5]


def test_lists_divide_one_folder(tmp_path, run):
    write_classes(tmp_path)
    where = write_maps(tmp_path, "all", {name: columns(COW if name == "d" else CAT, GRASS) for name in "abcdef"})
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("d\ne\nf\n")
    parts = {
        part: where.model_copy(update={"list": f"{name}.txt"})
        for part, name in (("train", "train"), ("validation", "val"))
    }
    recipe = own_recipe(tmp_path, **parts)
    split_dataset(recipe, run)
    assert [record.file_name for record in open_set(recipe, run, "train").images] == ["a.jpg", "b.jpg"]
    assert is_done(recipe, run, "split")
    (tmp_path / "val.txt").write_text("b\ne\nf\n")
    assert not is_done(recipe, run, "split")
    assert "both in train and in" in refusal(recipe, run).message


def test_more_than_255_seen_classes(tmp_path, run):
    many = [{"id": number, "name": f"kind {number}"} for number in range(330) if number != 255]
    write_classes(tmp_path, [*many, {"id": 400, "name": "cow"}])
    train = write_maps(tmp_path, "train", {"1": columns(7, 255, 329, 65_535, bits=16)})
    recipe = own_recipe(
        tmp_path, train=train, validation=write_maps(tmp_path, "val", {"8": columns(400, bits=16), "9": columns(3)})
    )
    split_dataset(recipe, run)
    images, classes = open_set(recipe, run, "train"), read_classes(run)
    assert classes.num_seen == 329
    label_HW = read_label(images, images.images[0])
    found = semantic_segments(images.images[0], label_HW, classes.class_ids, classes.num_seen)
    assert found.labels_G.tolist() == [7, classes.class_ids[329]]
    assert found.numbers_HW.tolist() == [[1, 0, 2, 0]] * 4
    assert classes.class_ids[329] == 328
