"""The files that a grid is saved to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from scaseg_cli.drawing.class_styles import ClassStyle
from scaseg_cli.drawing.sheet import SheetRow
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import Candidate
from scaseg_cli.visualization.columns import Column
from scaseg_cli.visualization.grid import GridRow, Style, pages, save, sheet_of

if TYPE_CHECKING:
    from pathlib import Path

STYLES = [ClassStyle(name, (200, 10, 10), name == "cow") for name in ("cat", "dog", "cow")]
STYLE = Style(STYLES, 64, False, "PQ")
COLUMNS = [Column("ours", "ours", "fine-tuned", Candidate("ours", None))]  # type: ignore[arg-type]


def row(*names: str) -> GridRow:
    cells = [Image.new("RGB", (64, 48), (90, 90, 90)) for _ in range(3)]
    segments = {"label": [{"category": name} for name in names], "ours": []}
    return GridRow(SheetRow(["1.png", "", "PQ 3.0"], cells), segments, {})


@pytest.mark.parametrize(
    ("number", "sizes"), [(1, [1]), (8, [8]), (9, [4, 5]), (16, [8, 8]), (17, [6, 5, 6]), (25, [6, 6, 7, 6])]
)
def test_pages_have_nearly_equal_numbers_of_rows(number: int, sizes: list[int]) -> None:
    rows = [row(str(place)) for place in range(number)]
    found = pages(rows)
    assert [len(page) for page in found] == sizes
    assert [item for page in found for item in page] == rows


def test_the_legend_has_the_classes_that_are_shown() -> None:
    sheet = sheet_of("title", [], COLUMNS, [row("cow"), row("cat", "cow")], STYLE)
    assert [style.name for style in sheet.legend] == ["cat", "cow"]
    assert [title for title, _ in sheet.columns] == ["image", "label", "ours"]


def test_the_suffix_selects_the_format(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "new" / "b.PDF"]
    rows = [row("cow")] * 10
    save(paths, "title", ["note"], COLUMNS, rows, STYLE, "key")
    with Image.open(paths[0]) as image:
        assert image.format == "PNG"
        assert image.height > 10 * 48
    content = paths[1].read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.png", "b.PDF", "new"]
    save(paths, "title", ["note"], COLUMNS, rows, STYLE, "key")
    assert paths[1].read_bytes() == content


def test_a_failed_write_leaves_existing_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ScasegError, match="cannot write"):
        save([tmp_path / "file" / "a.png"], "title", [], COLUMNS, [row("cow")], STYLE, "key")
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
