"""What docs/visualize.md shows can be typed, its picture is the command's, and it says what the code does."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

from scaseg_cli.cli.app import app
from scaseg_cli.data.class_lists import coco_stuff
from scaseg_cli.visualization.choice import Choice
from scaseg_cli.visualization.grid import ROWS_A_PAGE

PAGE = Path(__file__).parents[3] / "docs" / "visualize.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_parses(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    assert words[0] == "visualize"
    get_command(app).commands["visualize"].make_context("scaseg", words[1:])  # type: ignore[attr-defined]


def test_every_option_of_its_own_is_shown() -> None:
    own = {"--ids", "--worst", "--best", "--number", "--only", "--baseline", "--name", "--setting", "--cell", "-o"}
    assert own <= set(re.findall(r"(?<![\w-])--?[a-z]+", TEXT))


def test_the_picture_is_the_one_that_the_command_draws() -> None:
    (name,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)
    with Image.open(PAGE.parent / name) as image:
        assert image.width == 4 * 256 + 3 * 10 + 2 * 18
        assert image.height > 3 * 256
    assert (PAGE.parent / name).stat().st_size < 250_000


def test_what_it_says_of_files_pages_and_colours_is_so() -> None:
    assert f"at most {ROWS_A_PAGE} rows a page" in TEXT
    for choice in (Choice(), Choice(rank="worst"), Choice(rank="best"), Choice((1,))):
        assert f"{choice.stem}`" in TEXT or f"/{choice.stem}.png" in TEXT
    colours = {item.name: item.colour for item in coco_stuff()}
    assert colours["person"] == colours["bicycle"]
