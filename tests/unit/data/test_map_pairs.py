"""Images and label maps are matched by name, and the error names those that are not."""

from pathlib import Path

import pytest

from scaseg_cli.data.map_pairs import Pairs, pair_files
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.data_section import ImageSet


@pytest.fixture
def folders(tmp_path):
    """Two empty folders."""
    images, labels = tmp_path / "images", tmp_path / "maps"
    for folder in (images, labels):
        folder.mkdir()
    return images, labels


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def paired(images: Path, labels: Path, **keys: str) -> Pairs:
    where = ImageSet(images=images.name, labels=labels.name, **keys)
    return pair_files(images.parent, where)


def refusal(images: Path, labels: Path, **keys: str) -> ScasegError:
    with pytest.raises(ScasegError) as caught:
        paired(images, labels, **keys)
    return caught.value


def test_pairs_by_name_in_order(folders):
    images, labels = folders
    put(images, "b.jpg", "a.JPEG", "c.png", "list.txt", ".DS_Store", "._a.jpg")
    put(labels, "c.png", "a.png", "b.png", "readme.md", "._a.png")
    pairs, are_train_ids, *left_out = paired(images, labels)
    assert pairs == (("a.JPEG", "a.png"), ("b.jpg", "b.png"), ("c.png", "c.png"))
    assert not are_train_ids
    assert left_out == [(), (), ()]


def test_converted_maps_go_before_those_that_they_were_made_from(folders):
    images, labels = folders
    put(images, "1.jpg", "2.jpg")
    put(labels, "1.png", "1_labelTrainIds.png", "2.png", "2_labelTrainIds.png", "3.png")
    pairs, are_train_ids, *_ = paired(images, labels)
    assert pairs == (("1.jpg", "1_labelTrainIds.png"), ("2.jpg", "2_labelTrainIds.png"))
    assert are_train_ids


@pytest.mark.parametrize("label", ["1.png", "1_labelTrainIds.png"])
def test_one_folder_may_hold_both(folders, label):
    images, _ = folders
    put(images, "1.jpg", label)
    assert paired(images, images).pairs == (("1.jpg", label),)


def test_what_has_no_partner_is_left_out_and_named(folders):
    images, labels = folders
    put(images, *(f"{number}.jpg" for number in range(10, 14)))
    put(labels, *(f"{number}.png" for number in range(13, 16)))
    found = paired(images, labels)
    assert found.pairs == (("13.jpg", "13.png"),)
    assert found.unlabelled == ("10.jpg", "11.jpg", "12.jpg")
    assert found.imageless == ("14.png", "15.png")


def test_an_image_whose_map_was_not_converted_is_left_out(folders):
    images, labels = folders
    put(images, "1.jpg", "2.jpg")
    put(labels, "1.png", "1_labelTrainIds.png", "2.png")
    assert paired(images, labels).unlabelled == ("2.jpg",)


def test_folders_that_share_no_name_name_the_keys(folders):
    images, labels = folders
    put(images, "x_leftImg8bit.png", "y_leftImg8bit.png")
    put(labels, "x_gtFine_labelTrainIds.png", "x_gtFine_color.png", "y_gtFine_labelTrainIds.png")
    error = refusal(images, labels)
    assert "none of 2 images" in error.message
    assert "x_leftImg8bit.png and 1 more and x_gtFine_labelTrainIds.png and 1 more do not match" in error.message
    assert "`image_suffix` and `label_suffix`" in error.hint


def test_suffixes_pair_cityscapes_with_its_cities(folders):
    images, labels = folders
    for city in ("aachen", "ulm"):
        put(images, f"{city}/{city}_0_leftImg8bit.png", f"{city}/{city}_0_leftImg8bit.txt")
        put(labels, *(f"{city}/{city}_0_gtFine_{kind}.png" for kind in ("labelTrainIds", "labelIds", "color")))
    keys = {"image_suffix": "_leftImg8bit.png", "label_suffix": "_gtFine_labelTrainIds.png"}
    found = paired(images, labels, **keys)
    assert found.pairs == tuple(
        (f"{city}/{city}_0_leftImg8bit.png", f"{city}/{city}_0_gtFine_labelTrainIds.png") for city in ("aachen", "ulm")
    )
    assert found.unlabelled == found.imageless == ()
    error = refusal(images, labels, image_suffix="_rightImg8bit.png")
    assert "contains no file whose name ends in '_rightImg8bit.png'" in error.message
    assert "aachen/aachen_0_leftImg8bit.png" in error.hint
    assert "label_suffix" in refusal(images, labels, label_suffix="_labels.png").hint


def test_subfolders_are_searched_and_keep_equal_names_apart(folders):
    images, labels = folders
    put(images, "a/1.tif", "b/1.webp", "b/deep/2.bmp", ".hidden/3.jpg")
    put(labels, "a/1.png", "b/1.png", "b/deep/2.png")
    assert paired(images, labels).pairs == (
        ("a/1.tif", "a/1.png"),
        ("b/1.webp", "b/1.png"),
        ("b/deep/2.bmp", "b/deep/2.png"),
    )


def test_a_folder_of_labels_inside_that_of_the_images_is_no_folder_of_images(tmp_path):
    for folder in ("images", "images/labels"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "images", "1.png", "labels/1.png")
    found = pair_files(tmp_path, ImageSet(images="images", labels="images/labels"))
    assert found == Pairs((("1.png", "1.png"),), False)


def test_a_link_to_a_folder_above_does_not_loop(folders):
    images, labels = folders
    put(images, "1.jpg")
    put(labels, "1.png")
    (images / "again").symlink_to(images.parent)
    (images / "self").symlink_to(images)
    assert paired(images, labels).pairs == (("1.jpg", "1.png"),)


@pytest.mark.parametrize("lines", ["b\nc", "b.jpg\r\n\n c \n", "./b\nJPEGImages/c.jpg", "\ufeffc\nb\nb"])
def test_a_list_names_the_images(folders, tmp_path, lines):
    images, labels = folders
    put(images, "a.jpg", "b.jpg", "c.jpg", "unlabelled.jpg")
    put(labels, "a.png", "b.png", "c.png")
    (tmp_path / "train.txt").write_text(lines, encoding="utf-8", newline="")
    found = paired(images, labels, list="train.txt")
    assert found == Pairs((("b.jpg", "b.png"), ("c.jpg", "c.png")), False)


def test_a_list_of_plain_names_finds_files_in_subfolders(folders, tmp_path):
    images, labels = folders
    put(images, "x/a.jpg", "x/b.jpg", "y/b.jpg")
    put(labels, "x/a.png", "x/b.png", "y/b.png")
    (tmp_path / "train.txt").write_text("a\ny/b")
    assert [pair.image for pair in paired(images, labels, list="train.txt").pairs] == ["x/a.jpg", "y/b.jpg"]
    (tmp_path / "train.txt").write_text("b")
    assert "'b' in train.txt names 2 files: x/b.jpg, y/b.jpg" in refusal(images, labels, list="train.txt").message


def test_a_listed_image_without_a_label_map_is_left_out(folders, tmp_path):
    images, labels = folders
    put(images, "a.jpg", "b.jpg")
    put(labels, "a.png", "c.png")
    (tmp_path / "train.txt").write_text("a\nb\nc\nnowhere")
    found = paired(images, labels, list="train.txt")
    assert found.pairs == (("a.jpg", "a.png"),)
    assert (found.unlabelled, found.imageless, found.unknown) == (("b.jpg",), ("c.png",), ("nowhere",))


@pytest.mark.parametrize(
    ("content", "saying"),
    [
        (b"", "is empty"),
        (None, "does not exist"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"z 1", "names none of the images in {images}, such as a.jpg; its first name is 'z 1'"),
    ],
)
def test_a_bad_list_is_named(folders, tmp_path, content, saying):
    images, labels = folders
    put(images, "a.jpg")
    put(labels, "a.png")
    if content is not None:
        (tmp_path / "train.txt").write_bytes(content)
    error = refusal(images, labels, list="train.txt")
    assert "train.txt" in error.message
    assert saying.format(images=images) in error.message


def test_a_folder_in_place_of_a_list(folders, tmp_path):
    images, labels = folders
    put(images, "a.jpg")
    put(labels, "a.png")
    (tmp_path / "train.txt").mkdir()
    assert "train.txt is a folder" in refusal(images, labels, list="train.txt").message


def test_tiffs_are_label_maps_where_there_is_no_png(folders):
    images, labels = folders
    put(images, "1.jpg")
    put(labels, "1.tif", "1.txt")
    assert paired(images, labels).pairs == (("1.jpg", "1.tif"),)
    put(labels, "1.png")
    assert paired(images, labels).pairs == (("1.jpg", "1.png"),)


def test_empty_and_missing_folders_are_named(folders):
    images, labels = folders
    put(labels, "1.png")
    assert refusal(images, labels).message == f"the folder of images {images} contains no image"
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
