"""Small data sets as other tools write them, handed over outside the project: what each becomes at the split.

The tests of each kind, on data that they build themselves, are in tests/unit/data and tests/unit/split.
"""

import tarfile
from pathlib import Path

import pytest
from outside_data import needs_outside, outside

from scaseg_cli.data.images import read_image, read_label
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.lists import open_set, read_image_ids
from scaseg_cli.split.split import split_dataset

ARCHIVE = "cases/cases.tar.gz"
pytestmark = needs_outside(ARCHIVE)
CITYSCAPES = tuple(
    f"data.{part}.{key}={value}"
    for part in ("train", "validation")
    for key, value in (("image_suffix", "_leftImg8bit.png"), ("label_suffix", "_gtFine_labelTrainIds.png"))
)
LISTS = tuple(
    f"data.{part}.list=ImageSets/Segmentation/{name}.txt" for part, name in (("train", "train"), ("validation", "val"))
)
TURN = ("data.exif=turn",)
# name, keys that it needs, training images, seen classes
RIGHT = [
    ("panoptic/text-image-ids", (), 6, 5),
    ("panoptic/grey16-images", (), 6, 5),
    ("panoptic/overdrawn-segment", (), 60, 5),
    ("panoptic/exif-turned", TURN, 6, 5),
    ("panoptic/unlabelled-image", (), 5, 5),
    ("panoptic/bare-segments", (), 6, 5),
    ("panoptic/synonyms", (), 6, 5),
    ("panoptic/all-stuff", ("data.things=[person, car, cow]",), 6, 5),
    ("panoptic/grey-png", (), 6, 5),
    ("panoptic/pandas-floats", (), 6, 5),
    ("panoptic/json-with-bom", (), 6, 5),
    ("panoptic/backslashes", (), 6, 5),
    ("label_map/exif-images", TURN, 6, 5),
    ("label_map/zero-is-background", ("data.ignored=[0]",), 6, 5),
    ("label_map/voc-folders", LISTS, 6, 6),
    ("label_map/cityscapes-flat", CITYSCAPES, 6, 5),
    ("label_map/classes-300", (), 6, 328),
    ("label_map/binary-0-255", (), 6, 2),
    ("label_map/camvid-colours", ("data.colours=labelmap.txt",), 6, 5),
    ("label_map/tif-images", (), 6, 5),
    ("label_map/grey-as-rgb", ("data.ignored=[0]",), 6, 5),
]
# name, what the error says as shipped
REFUSED = [
    ("panoptic/exif-turned", "data.exif"),
    ("panoptic/all-crowd", "nothing to train on"),
    ("label_map/exif-images", "data.exif"),
    ("label_map/zero-is-background", "data.ignored"),
    ("label_map/cityscapes-flat", "label_suffix"),
    ("label_map/camvid-colours", "data.colours"),
    ("label_map/grey-as-rgb", "data.ignored"),
]
# name, keys, what a note says
NOTED = [
    ("panoptic/grey16-images", (), "Images of train with 16 bits, scaled to 8: 6."),
    ("panoptic/overdrawn-segment", (), "Labels of train with listed segments without a pixel"),
    ("panoptic/exif-turned", TURN, "EXIF orientation, followed"),
    ("panoptic/unlabelled-image", (), "Images of train without a label, left out: 1 of 6 read."),
    ("panoptic/all-stuff", (), "data.things"),
    ("label_map/voc-folders", (), "data.train.list"),
    ("label_map/binary-0-255", (), "Values of no class in the training label maps: 255 ("),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cases")
    with tarfile.open(outside(ARCHIVE)) as archive:
        archive.extractall(path, filter="data")
    return path


@pytest.fixture(autouse=True)
def in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def split(name: str, keys: tuple[str, ...], run: RunDir) -> StageReport:
    return split_dataset(load_recipe(f"{name}/case.yaml", keys), run, check_png=None)


@pytest.mark.parametrize(("name", "keys", "num_images", "num_seen"), RIGHT, ids=[case[0] for case in RIGHT])
def test_read_rightly(tmp_path: Path, name: str, keys: tuple[str, ...], num_images: int, num_seen: int) -> None:
    run = RunDir(tmp_path)
    split(name, keys, run)
    classes = read_classes(run)
    assert len(read_image_ids(run)["train"]) == num_images
    assert (classes.num_seen, len(classes)) == (num_seen, num_seen + 1)
    recipe = load_recipe(f"{name}/case.yaml", keys)
    for part in ("train", "selection", "validation"):
        images = open_set(recipe, run, part)
        for record in images.images:
            assert read_image(images.image_path(record), record, images.turned).shape == (48, 64, 3)
            assert read_label(images, record).any()


@pytest.mark.parametrize(("name", "says"), REFUSED)
def test_as_shipped_the_error_names_the_key(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ScasegError) as caught:
        split(name, (), RunDir(tmp_path))
    assert says in str(caught.value)


@pytest.mark.parametrize(("name", "keys", "says"), NOTED)
def test_a_note_says_so(tmp_path: Path, name: str, keys: tuple[str, ...], says: str) -> None:
    notes = split(name, keys, RunDir(tmp_path)).tables[0].notes
    assert any(says in note for note in notes), notes
