"""The plot: both files, reproducible to the byte, with every label that a reader needs."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from scaseg_cli.ablations.plot import draw
from scaseg_cli.errors import ScasegError


@pytest.fixture
def found(ablation, figures):
    rows = {"0": [0.3, 0.4], "16": [0.4, 0.5], "32": [0.5, 0.5], "64": [0.2, 0.4]}
    return figures(ablation("bank-size", seeds=(0, 1)), inductive=rows, transductive=rows)


def test_both_files_are_the_same_every_time(found, tmp_path):
    first, second = draw(found, tmp_path / "a"), draw(found, tmp_path / "b")
    assert [path.name for path in first] == ["plot.png", "plot.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_svg_has_all_labels_and_no_date(found, tmp_path):
    text = draw(found, tmp_path)[1].read_text()
    words = set(re.findall(r"<text[^>]*>([^<]+)</text>", text))
    assert {
        "inductive",
        "transductive",
        "per cent",
        "base.v2c.bank_size",
        "hPQ, ours",
        "uPQ, published (COCO)",
    } <= words
    assert {"0", "16", "32 *", "64"} <= words
    assert "dc:date" not in text


def test_the_picture_is_as_wide_as_its_panels_need(found, tmp_path):
    width, height = Image.open(draw(found, tmp_path)[0]).size
    assert width > 2 * height > 800


def test_a_long_title_is_wrapped_and_not_cut_off(ablation, figures, tmp_path):
    found = figures(ablation("pseudo-seen"), transductive={"0": [0.5], "10": [0.4], "50": [0.3], "150": [0.2]})
    png, svg = draw(found, tmp_path)
    words = f"pseudo-seen: {found.ablation.sweep.title}".split()
    lines = [line.split() for line in re.findall(r"<text[^>]*>([^<]+)</text>", svg.read_text())]
    title = [line for line in lines if line == words[: len(line)] or line == words[-len(line) :]]
    assert [word for line in title for word in line] == words
    assert len(title) == 2
    with Image.open(png) as image:
        edges = np.array(image.convert("L"))[:, [0, 1, -2, -1]]
    assert (edges == 255).all()


def test_rows_that_failed_leave_a_gap(ablation, figures, tmp_path):
    found = figures(ablation("components"), inductive={"with V2C": [0.5]})
    text = draw(found, tmp_path)[1].read_text()
    assert "CAT and union" in text
    assert "hPQ, ours" in text


def test_matplotlib_is_not_imported_before_a_plot_is_drawn():
    program = "import sys, scaseg_cli.ablations.ablate; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_folder_that_cannot_be_written(found, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ScasegError, match="cannot write"):
        draw(found, tmp_path / "file")
