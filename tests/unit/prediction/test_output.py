"""The output folder: files that `scaseg predict` did not make are never replaced."""

import json
import os
import subprocess

import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.prediction.output import MADE_BY, OutputFolder
from scaseg_cli.prediction.sources import find_sources

OURS = {"info": {"made_by": MADE_BY}, "annotations": []}


def test_a_new_folder_an_empty_one_and_one_of_an_earlier_call_can_be_used(tmp_path):
    folder = OutputFolder(tmp_path / "new" / "below")
    folder.prepare([], OURS)
    assert json.loads(folder.json_file.read_text()) == OURS
    (folder.path / "old.png").write_bytes(b"")
    folder.prepare([], {**OURS, "again": 1})
    assert json.loads(folder.json_file.read_text())["again"] == 1
    assert (folder.path / "old.png").exists()


def test_what_a_killed_call_left_is_removed_and_no_file_of_others(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    unfinished = tmp_path / f".predictions.json.{ended.pid}.tmp"
    unfinished.write_text("{")
    (tmp_path / "holiday.png").write_text("x")
    with pytest.raises(ScasegError, match="has files that `scaseg predict` did not make"):
        OutputFolder(tmp_path).prepare([], OURS)
    assert unfinished.exists()
    (tmp_path / "holiday.png").unlink()
    OutputFolder(tmp_path).prepare([], OURS)
    (tmp_path / f".a.png.{os.getpid()}.tmp").touch()  # of a call that still runs
    OutputFolder(tmp_path).prepare([], OURS)
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.json", f".a.png.{os.getpid()}.tmp"}


@pytest.mark.parametrize(
    ("name", "content"),
    [("holiday.png", "x"), ("predictions.json", '{"annotations": []}'), ("predictions.json", "[]")],
)
def test_a_folder_with_files_of_others_is_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ScasegError, match="has files that `scaseg predict` did not make"):
        OutputFolder(tmp_path).prepare([], OURS)
    assert (tmp_path / name).read_text() == content
    assert len(list(tmp_path.iterdir())) == 1


def test_an_image_is_never_replaced_by_its_result(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    folder.prepare([], OURS)
    (folder.path / "a.png").write_bytes(b"mine")
    with pytest.raises(ScasegError, match=r"a\.png would be replaced by a result"):
        folder.prepare(find_sources([str(tmp_path / "out" / "a.png")]), OURS)


def test_an_image_is_never_replaced_by_another_images_result(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    folder.prepare([], OURS)
    (folder.path / "a-overlay.png").write_bytes(b"mine")
    sources = find_sources([str(tmp_path / "a.jpg"), str(folder.path / "a-overlay.png")])
    with pytest.raises(ScasegError, match="would be replaced"):
        folder.prepare(sources, OURS)


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ScasegError, match="cannot be created: Not a directory"):
        OutputFolder(tmp_path / "file" / "out").prepare([], OURS)
