"""The embedded world on disk: COCO's panoptic format, the same bytes each time, whole or not at all."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.images import read_image, read_label
from scaseg_cli.data.semantic import scan_semantic_set
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.data_section import ImageSet, ShapesData
from scaseg_cli.shapes.make import SETS, make_shapes, scene_of
from scaseg_cli.shapes.world import CATEGORIES, CLASSES, MAP_CATEGORIES

SMALL = ShapesData(num_train=30, num_selection=4, num_validation=20, unseen_fraction=0.0)
UNSEEN_IDS = {cls.category_id for cls in CLASSES if cls.unseen}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world") / "data"
    make_shapes(root, SMALL)
    return root


def _content(root: Path, name: str) -> dict:
    return json.loads((root / "annotations" / f"panoptic_{name}.json").read_text())


def _where(name: str) -> ImageSet:
    return ImageSet(images=name, annotations=f"annotations/panoptic_{name}.json", labels=f"annotations/panoptic_{name}")


def _hashes(root: Path) -> dict[str, str]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", SETS)
def test_labels_and_annotations_agree(root: Path, name: str) -> None:
    content = _content(root, name)
    assert content["categories"] == CATEGORIES
    assert [entry["id"] for entry in content["images"]] == [entry["image_id"] for entry in content["annotations"]]
    for number, annotation in enumerate(content["annotations"]):
        rgb = np.asarray(Image.open(root / "annotations" / f"panoptic_{name}" / annotation["file_name"])).astype(int)
        ids = rgb @ (1, 256, 65536)
        segments = annotation["segments_info"]
        assert {segment["id"] for segment in segments} == set(np.unique(ids))
        assert sum(segment["area"] for segment in segments) == 64 * 64
        scene = scene_of(SMALL, name, number)
        for place, segment in enumerate(segments):
            mask = ids == segment["id"]
            rows, columns = np.nonzero(mask)
            assert segment["area"] == mask.sum()
            x, y, width, height = segment["bbox"]
            assert (x, y, x + width - 1, y + height - 1) == (columns.min(), rows.min(), columns.max(), rows.max())
            assert segment["iscrowd"] == 0
            assert segment["category_id"] == scene.classes[place].category_id
            np.testing.assert_array_equal(mask, scene.index == place)


def test_the_reader_of_panoptic_sets_takes_it(root: Path) -> None:
    panoptic = read_panoptic_set(root, _where("validation"))
    assert len(panoptic.images) == 20
    for number, record in enumerate(panoptic.images):
        assert (read_label(panoptic, record) > 0).all()
        image = read_image(panoptic.image_path(record), record)
        np.testing.assert_array_equal(image, scene_of(SMALL, "validation", number).image)


def test_the_reader_of_label_maps_takes_it(root: Path) -> None:
    where = ImageSet(images="validation", labels="annotations/semantic_validation")
    maps = scan_semantic_set(root, where, "annotations/categories.json", "validation")
    assert [category.name for category in maps.categories] == [cls.name for cls in CLASSES]
    assert [category.id for category in maps.categories] == list(range(40))
    for number, (record, entry) in enumerate(zip(maps.images, _content(root, "validation")["images"], strict=True)):
        assert (record.image_id, record.file_name) == (entry["id"], entry["file_name"])
        scene = scene_of(SMALL, "validation", number)
        names = [maps.categories[place - 1].name for place in read_label(maps, record).ravel()]
        assert names == [scene.classes[place].name for place in scene.index.ravel()]


def test_the_classes_of_label_maps_differ_from_the_others_in_their_ids_alone() -> None:
    assert [{**category, "id": None} for category in MAP_CATEGORIES] == [{**c, "id": None} for c in CATEGORIES]


def test_image_ids_of_the_sets_never_meet(root: Path) -> None:
    ids = [entry["id"] for name in SETS for entry in _content(root, name)["images"]]
    assert len(set(ids)) == len(ids) == 54


def test_training_scenes_hold_no_unseen_class_but_for_the_fraction_that_may() -> None:
    def with_unseen(fraction: float, name: str) -> float:
        config = ShapesData(num_train=80, num_selection=1, num_validation=1, unseen_fraction=fraction)
        scenes = [scene_of(config, name, number) for number in range(80)]
        return sum(any(cls.unseen for cls in scene.classes) for scene in scenes) / 80

    assert with_unseen(0.0, "train") == 0
    assert 0.1 < with_unseen(0.5, "train") < 0.6
    assert with_unseen(0.0, "selection") > 0.4
    assert with_unseen(0.0, "validation") > 0.4


def test_the_same_seed_gives_the_same_bytes_and_more_scenes_change_none(root: Path, tmp_path: Path) -> None:
    make_shapes(tmp_path / "again", SMALL)
    assert _hashes(tmp_path / "again") == _hashes(root)
    make_shapes(tmp_path / "more", SMALL.model_copy(update={"num_train": 33}))
    pictures = {name: value for name, value in _hashes(root).items() if name.endswith(".png")}
    assert pictures.items() <= _hashes(tmp_path / "more").items()
    make_shapes(tmp_path / "more", SMALL.model_copy(update={"seed": 1}))  # replaces what was there
    other = _hashes(tmp_path / "more")
    assert other.keys() == _hashes(root).keys()
    assert all(other[name] != value for name, value in pictures.items())


def test_data_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "mine.json").write_text("{}")
    with pytest.raises(ScasegError, match="already contains annotations/"):
        make_shapes(tmp_path, SMALL)
    assert _hashes(tmp_path).keys() == {"annotations/mine.json"}


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ScasegError, match="cannot write the embedded world"):
        make_shapes(tmp_path / "data", SMALL)


def test_a_killed_generation_leaves_no_set_and_the_next_one_is_whole(root: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from scaseg_cli.recipe.data_section import ShapesData;"
        "from scaseg_cli.shapes.make import make_shapes; make_shapes(Path(sys.argv[1]), ShapesData(num_train=90000))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".unfinished/train/*9.png")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / ".unfinished").is_dir()
    assert not any((tmp_path / part).exists() for part in (*SETS, "annotations"))
    make_shapes(tmp_path, SMALL)
    assert _hashes(tmp_path) == _hashes(root)
