from pathlib import Path

import pytest
from panoptic_files import panoptic_json, striped, write_panoptic_set

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.folders import check_files, data_root
from scaseg_cli.data.images import check_headers_of
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir


@pytest.fixture
def panoptic_set(tmp_path):
    images = [striped(number, 1, 100) for number in range(1, 10)]
    return read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", images))


def test_all_there(panoptic_set):
    check_files(panoptic_set)


def test_missing_images_are_counted_and_the_first_named(panoptic_set):
    for record in panoptic_set.images[1:]:
        panoptic_set.image_path(record).unlink()
    with pytest.raises(ScasegError) as caught:
        check_files(panoptic_set)
    assert f"the folder of images {panoptic_set.images_dir} has 8 mistakes" in caught.value.message
    assert "000000000002.jpg does not exist" in caught.value.message
    assert caught.value.message.endswith("and 3 more")


def test_a_missing_label_is_named_only_if_it_is_needed(panoptic_set):
    panoptic_set.label_path(panoptic_set.images[3]).unlink()
    with pytest.raises(ScasegError, match=r"folder of panoptic PNGs .*: 000000000004\.png does not exist"):
        check_files(panoptic_set)
    check_files(panoptic_set.only([1, 2]))


def test_a_missing_folder_is_named(panoptic_set):
    panoptic_set.images_dir.rename(panoptic_set.images_dir.with_name("elsewhere"))
    with pytest.raises(ScasegError, match=r"the folder of images .*val does not exist") as caught:
        check_files(panoptic_set)
    assert "recipe" in caught.value.hint


def test_a_folder_in_the_place_of_an_image_is_found_with_the_headers(panoptic_set):
    path = panoptic_set.image_path(panoptic_set.images[0])
    path.unlink()
    path.mkdir()
    check_files(panoptic_set)  # asks for names alone
    (error,) = check_headers_of(panoptic_set, panoptic_set.images[0])
    assert isinstance(error, ScasegError)
    assert error.message == f"the image {path} is not a file"


def test_files_in_subfolders(tmp_path):
    images = [striped(1, 1), striped(2, 1)]
    content = panoptic_json(images)
    content["images"][0]["file_name"] = "city/a.jpg"
    panoptic_set = read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", images, content=content))
    (tmp_path / "val" / "city").mkdir()
    with pytest.raises(ScasegError, match=r"city/a\.jpg does not exist"):
        check_files(panoptic_set)
    (tmp_path / "val" / "city" / "a.jpg").touch()
    check_files(panoptic_set)


def test_data_root():
    run = RunDir(Path("somewhere"))
    assert data_root(load_recipe("shapes-zps"), run) == Path("somewhere/data")
    own = load_recipe("shapes-zps", ("data.shapes=null", "data.root=/data/coco"))
    assert data_root(own, run) == Path("/data/coco")
