"""`scaseg visualize`: its help, and errors before anything is read or written."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_help_teaches(scaseg: Call) -> None:
    code, out, err = scaseg("visualize", "--help")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    for words in ("Usage: scaseg visualize", "Example: scaseg visualize --worst --only unseen", "Reads", "Writes"):
        assert words in text
    for panel in ("Which images", "Baseline", "Recipe", "Output"):
        assert f"─ {panel} ─" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--worst", "--best"), "error: --worst and --best each say which images"),
        (("--ids", "1", "--best"), "error: --ids and --best each say which images"),
        (("--ids", "1", "--number", "2"), "error: --ids 1 and --number 2 both say how many images"),
        (("--ids", " , "), "error: --ids ' , ' has no image id"),
        (("--ids", ",".join(map(str, range(101)))), "error: --ids names 101 images, and a grid has at most 100"),
        (("--number", "0"), "Invalid value for '--number'"),
        (("--number", "101"), "Invalid value for '--number'"),
        (("--only", "seen"), "Invalid value for '--only'"),
        (("-o", "a.jpg"), "error: --output a.jpg ends with neither .png nor .pdf"),
        (("-o", "a.png", "-o", "b"), "error: --output b ends with neither .png nor .pdf"),
        (("-o", "folder.png"), "error: --output folder.png is a folder"),
        (("-o", "file/a.png"), "is not a writable folder"),
        ((), "error: runs/shapes-zps has no finished split"),
        (("--setting", "transductive"), "error: runs/shapes-zps has no finished split"),
    ],
)
def test_what_is_wrong_with_the_options(
    scaseg: Call, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("mine")
    code, out, err = scaseg("visualize", *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"]
