"""The input images, and unique names of their results."""

import os
import sys

import pytest
from PIL import Image

from scaseg_cli.errors import ScasegError
from scaseg_cli.prediction.sources import find_sources, result_names


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    """Make b.JPG, a.png and notes.txt in photos/, and c.webp in a subfolder."""
    monkeypatch.chdir(tmp_path)
    below = tmp_path / "photos" / "below"
    below.mkdir(parents=True)
    for path in (below.parent / "b.JPG", below.parent / "a.png", below / "c.webp"):
        Image.new("RGB", (2, 2)).save(path)
    (below.parent / "notes.txt").write_text("no image")
    return tmp_path


def names(*named, listed=()):
    return [str(source.path) for source in find_sources(named, listed)]


def test_a_folder_means_its_images_by_name_without_subfolders():
    assert names("photos") == ["photos/a.png", "photos/b.JPG"]


def test_patterns_reach_subfolders_and_skip_folders():
    assert names("photos/**/*.webp") == ["photos/below/c.webp"]
    assert names("photos/[ab]*") == ["photos/a.png", "photos/b.JPG"]


def test_a_file_takes_precedence_over_a_pattern_of_its_name():
    Image.new("RGB", (2, 2)).save("photos/x[1].png")
    Image.new("RGB", (2, 2)).save("photos/x1.png")
    assert names("photos/x[1].png") == ["photos/x[1].png"]


def test_a_list_on_stdin_has_one_file_per_line():
    lines = ["photos/b.JPG\n", "\n", "photos/a.png\r\n", "gone.png"]
    assert names("-", listed=lines) == ["photos/b.JPG", "photos/a.png", "gone.png"]


def test_each_image_is_used_once_in_the_order_of_the_arguments(photos):
    os.symlink("a.png", "photos/link.png")
    assert names("photos/b.JPG", "photos", "./photos/b.JPG", str(photos / "photos/a.png"), "photos/link.png") == [
        "photos/b.JPG",
        "photos/a.png",
    ]


def test_a_named_file_that_is_missing_is_kept():
    assert names("gone.png") == ["gone.png"]


@pytest.mark.parametrize(
    ("named", "looked"),
    [(("*.gif",), r"\*\.gif"), (("-",), "stdin"), (("photos/below/..//empty", "*.no"), r"photos/below/\.\.//empty, ")],
)
def test_no_image_is_an_error(photos, named, looked):
    (photos / "photos" / "empty").mkdir()
    with pytest.raises(ScasegError, match=f"there is no image to predict in {looked}"):
        find_sources(named)


def test_results_never_share_a_file_whatever_folders_and_endings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = ["a/cat.jpg", "b/cat.jpg", "b/cat.png", "a/CAT.jpg", "a/cat-2.jpg", "a/dog-overlay.jpg", "a/dog.jpg"]
    sources = find_sources(named)
    assert [source.stem for source in sources][:4] == ["cat", "cat-2", "cat-3", "CAT-4"]
    written = [name.casefold() for source in sources for name in result_names(source.stem)]
    assert len(set(written)) == 2 * len(named)


def test_image_ids_are_the_files_numbers_where_all_have_one():
    assert [s.image_id for s in find_sources(["000000000139.jpg", "x/285.jpg"])] == [139, 285]
    assert [s.image_id for s in find_sources(["000000000139.jpg", "x/139.jpg"])] == [1, 2]
    assert [s.image_id for s in find_sources(["7.jpg", "zebra.jpg", "²3.jpg"])] == [1, 2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_a_name_that_is_not_utf_8_can_be_written_as_text():
    (source,) = find_sources([os.fsdecode(b"caf\xe9.jpg")])
    assert source.stem == "caf�"
    assert os.fsencode(source.path) == b"caf\xe9.jpg"


def test_names_that_no_file_can_have_are_kept_to_be_reported(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    names = ["x" * 300, "a\0b.png", str(tmp_path / "loop.png")]
    assert [str(source.path) for source in find_sources(["-"], names)] == names
    assert [str(source.path) for source in find_sources([names[0], names[2]])] == [names[0], names[2]]
