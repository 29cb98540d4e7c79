"""Images and label maps are matched by name, and the error names those that are not."""

from pathlib import Path

import pytest

from scaseg_cli.data.map_pairs import pair_files
from scaseg_cli.errors import ScasegError


@pytest.fixture
def folders(tmp_path):
    """Two empty folders."""
    images, labels = tmp_path / "images", tmp_path / "maps"
    for folder in (images, labels):
        folder.mkdir()
    return images, labels


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def refusal(images: Path, labels: Path) -> ScasegError:
    with pytest.raises(ScasegError) as caught:
        pair_files(images, labels)
    return caught.value


def test_pairs_by_name_in_order(folders):
    images, labels = folders
    put(images, "b.jpg", "a.JPEG", "c.png", "list.txt", ".DS_Store", "._a.jpg")
    put(labels, "c.png", "a.png", "b.png", "readme.md", "._a.png")
    pairs, are_train_ids = pair_files(images, labels)
    assert pairs == (("a.JPEG", "a.png"), ("b.jpg", "b.png"), ("c.png", "c.png"))
    assert not are_train_ids


def test_converted_maps_go_before_those_that_they_were_made_from(folders):
    images, labels = folders
    put(images, "1.jpg", "2.jpg")
    put(labels, "1.png", "1_labelTrainIds.png", "2.png", "2_labelTrainIds.png", "3.png")
    pairs, are_train_ids = pair_files(images, labels)
    assert pairs == (("1.jpg", "1_labelTrainIds.png"), ("2.jpg", "2_labelTrainIds.png"))
    assert are_train_ids


@pytest.mark.parametrize("label", ["1.png", "1_labelTrainIds.png"])
def test_one_folder_may_hold_both(folders, label):
    images, _ = folders
    put(images, "1.jpg", label)
    assert pair_files(images, images).pairs == (("1.jpg", label),)


def test_an_incomplete_folder_is_counted_both_ways_and_the_first_are_named(folders):
    images, labels = folders
    put(images, *(f"{number}.jpg" for number in range(10, 20)))
    put(labels, *(f"{number}.png" for number in range(18, 25)))
    message = refusal(images, labels).message.splitlines()
    assert message == [
        f"images in {images} and label maps in {labels} do not match:",
        "  8 of 10 images have no label map: 10.jpg, 11.jpg, 12.jpg, 13.jpg, 14.jpg and 3 more",
        "  5 of 7 label maps have no image: 20.png, 21.png, 22.png, 23.png, 24.png",
    ]


def test_an_image_whose_map_was_not_converted_is_named(folders):
    images, labels = folders
    put(images, "1.jpg", "2.jpg")
    put(labels, "1.png", "1_labelTrainIds.png", "2.png")
    assert "1 of 2 images have no label map: 2.jpg" in refusal(images, labels).message


def test_empty_and_missing_folders_are_named(folders):
    images, labels = folders
    put(labels, "1.png")
    assert refusal(images, labels).message == f"the folder of images {images} contains no image (.jpg, .jpeg, .png)"
    put(images, "1.jpg")
    (labels / "1.png").unlink()
    assert refusal(images, labels).message == f"the folder of label maps {labels} contains no PNG"
    labels.rmdir()
    assert refusal(images, labels).message == f"the folder of label maps {labels} does not exist"
    assert refusal(labels, images).message == f"the folder of images {labels} does not exist"


def test_two_images_of_one_name_are_refused(folders):
    images, labels = folders
    put(images, "1.jpg", "1.png", "2.jpg")
    put(labels, "1.png", "2.png")
    assert "contains 1 twice, with different suffixes" in refusal(images, labels).message
