"""What docs/predict.md shows can be typed, and its picture is one that the command drew."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

from scaseg_cli.cli.app import app

PAGE = Path(__file__).parents[3] / "docs" / "predict.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_parses(line: str) -> None:
    words = shlex.split(line)[1:]
    get_command(app).commands[words[0]].make_context("scaseg", words[1:])  # type: ignore[attr-defined]


def test_the_page_shows_its_commands() -> None:
    assert {line.split()[1] for line in COMMANDS} == {"predict", "pack", "export", "evaluate"}


def test_the_picture_has_an_overlays_size() -> None:
    (name,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)
    with Image.open(PAGE.parent / name) as image:
        assert max(image.size) == 512
    assert (PAGE.parent / name).stat().st_size < 60_000
