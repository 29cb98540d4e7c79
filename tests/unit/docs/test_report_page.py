"""What docs/report.md shows can be typed, what it says of the command holds, and its picture is small."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

from scaseg_cli.cli.app import app
from scaseg_cli.html_report.embedding_map import AT_MOST
from scaseg_cli.html_report.survey import KEPT

PAGE = Path(__file__).parents[3] / "docs" / "report.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]
REPORT = get_command(app).commands["report"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_parses(line: str) -> None:
    words = shlex.split(line.partition(" | ")[0])
    assert words[:2] == ["scaseg", "report"]
    REPORT.make_context("scaseg", words[2:])


def test_numbers_are_those_of_the_code() -> None:
    (images,) = (option.default for option in REPORT.params if option.name == "images")
    plain = " ".join(TEXT.split())
    assert f"at {images} of them at most" in plain
    assert f"Up to {KEPT} of each class are kept, and up to {AT_MOST} embeddings" in plain


def test_the_sections_are_the_pages() -> None:
    template = (PAGE.parents[1] / "scaseg_cli" / "html_report" / "templates" / "run.html").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([A-Z][\w ]+) \|", TEXT, re.MULTILINE)
    assert listed == re.findall(r"<h3>([A-Z][\w ]+)</h3>", template.replace("<h3>Left out</h3>", ""))


def test_the_picture_is_there_and_small() -> None:
    (name,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)
    with Image.open(PAGE.parent / name) as image:
        assert image.width > 1000
    assert (PAGE.parent / name).stat().st_size < 250_000
