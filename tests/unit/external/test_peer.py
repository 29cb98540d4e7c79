"""A peer's predictions: both formats, with mistakes reported by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from prediction_files import CATEGORIES, change_json, segment, strip, strips, write_map, write_pairs

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.records import Category, ImageRecord, LabelledSet
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.peer import Peer, check_peer, open_peer, read_peer
from scaseg_cli.recipe.data_section import ImageSet
from scaseg_cli.split.classes import ClassList, class_list

if TYPE_CHECKING:
    from pathlib import Path

CAT, DOG, COW, GRASS = (item["id"] for item in CATEGORIES)


@pytest.fixture
def panoptic(tmp_path: Path) -> tuple[Path, LabelledSet, ClassList]:
    """Predictions of two images, in a folder; the labels; the classes, of which the cow is unseen."""
    write_pairs(
        tmp_path,
        [
            strips("1122", {1: CAT, 2: GRASS}, "77.4", {4: COW, 7: DOG}),
            strips("1111", {1: CAT}, "2222", {2: CAT}),
        ],
    )
    images = read_panoptic_set(tmp_path, ImageSet(images=".", annotations="labels.json", labels="labels"))
    return tmp_path / "predictions", images, class_list(images.categories, ["cow"])


def test_segments_of_cocos_format(panoptic) -> None:
    folder, images, classes = panoptic
    peer = open_peer(folder, images, classes)
    check_peer(peer, images.images)
    first, second = read_peer(peer, images.images)
    assert first.segment_map_HW.tolist() == [[2, 2, 0, 1]]
    assert [classes.names[class_id] for class_id in first.class_ids] == ["cow", "dog"]
    assert second.segment_map_HW.tolist() == [[1, 1, 1, 1]]
    assert [classes.names[class_id] for class_id in second.class_ids] == ["cat"]


def test_missing_predictions_are_reported_by_image_before_reading(panoptic) -> None:
    folder, images, classes = panoptic
    change_json(folder.parent / "predictions.json", lambda content: content["annotations"].pop(0))
    (folder / "2.png").unlink()
    with pytest.raises(ScasegError) as caught:
        check_peer(open_peer(folder, images, classes), images.images)
    assert "image 1 (1.jpg): it has no prediction" in caught.value.message
    assert f"image 2 (2.jpg): {folder / '2.png'} does not exist" in caught.value.message


def test_predictions_of_images_that_are_not_shown_may_be_missing(panoptic) -> None:
    folder, images, classes = panoptic
    (folder / "2.png").unlink()
    peer = open_peer(folder, images, classes)
    check_peer(peer, images.images[:1])
    assert len(read_peer(peer, images.images[:1])) == 1


def test_mistakes_inside_pngs_are_reported_by_image(panoptic) -> None:
    folder, images, classes = panoptic
    write_map(folder / "1.png", strip("7794"))
    change_json(
        folder.parent / "predictions.json",
        lambda content: content["annotations"][1]["segments_info"].append(segment(3, DOG)),
    )
    peer = open_peer(folder, images, classes)
    check_peer(peer, images.images)
    with pytest.raises(ScasegError) as caught:
        read_peer(peer, images.images)
    assert "1.png: prediction map has segments that are not listed: [9]" in caught.value.message
    assert "2.png has no pixel of segment 3, which is in its JSON" in caught.value.message


MAP_CLASSES = (
    Category(0, "cat", True), Category(3, "cow", True), Category(300, "sky", False),
)  # fmt: skip


@pytest.fixture
def maps(tmp_path: Path) -> tuple[Peer, ClassList, list[ImageRecord]]:
    """An empty folder of label maps, for images in two folders."""
    (tmp_path / "theirs" / "deep").mkdir(parents=True)
    records = [
        ImageRecord(1, "a.jpg", "a_labelTrainIds.png", 4, 1, ()),
        ImageRecord(2, "deep/b.jpg", "deep/b.png", 4, 1, ()),
    ]
    images = LabelledSet(tmp_path, tmp_path, MAP_CLASSES, tuple(records), (0, 3, 300))
    classes = class_list(MAP_CLASSES, ["cow"])
    return open_peer(tmp_path / "theirs", images, classes), classes, records


def write(path: Path, *values: int) -> None:
    Image.fromarray(np.array([values], np.uint8 if max(values) < 256 else np.uint16)).save(path)


@pytest.mark.parametrize("name", ["a.png", "a_labelTrainIds.png"])
def test_regions_of_label_maps(maps, name: str) -> None:
    peer, classes, records = maps
    write(peer.folder / name, 3, 255, 0, 3)
    write(peer.folder / "deep" / "b.png", 300, 300, 0, 300)
    check_peer(peer, records)
    first, second = read_peer(peer, records)
    assert first.segment_map_HW.tolist() == [[2, 0, 1, 2]]
    assert [classes.names[class_id] for class_id in first.class_ids] == ["cat", "cow"]
    assert second.segment_map_HW.tolist() == [[2, 2, 1, 2]]
    assert [classes.names[class_id] for class_id in second.class_ids] == ["cat", "sky"]


def test_mistakes_in_label_maps_are_reported_by_image(maps) -> None:
    peer, _, records = maps
    write(peer.folder / "a.png", 0, 0, 5, 9)
    with pytest.raises(ScasegError, match=r"image 2 \(deep/b.jpg\): .*b.png does not exist"):
        check_peer(peer, records)
    write(peer.folder / "deep" / "b.png", 0, 0, 0)
    check_peer(peer, records)
    with pytest.raises(ScasegError) as caught:
        read_peer(peer, records)
    assert "a.png contains 5, 9, which are not category ids of the data" in caught.value.message
    assert "b.png is 3 x 1 pixels, but its image deep/b.jpg is 4 x 1" in caught.value.message
    assert "one category id per pixel" in (caught.value.hint or "")


def test_a_folder_that_is_not_there(tmp_path: Path, panoptic) -> None:
    _, images, classes = panoptic
    semantic = LabelledSet(tmp_path, tmp_path, MAP_CLASSES, (), (0, 3, 300))
    for labelled in (images, semantic):
        with pytest.raises(ScasegError, match=r"the folder of predictions .*nowhere does not exist"):
            open_peer(tmp_path / "nowhere", labelled, classes)
