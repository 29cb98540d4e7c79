"""What docs/ablations.md shows can be typed: its commands parse, and its sweep files are right."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from scaseg_cli.ablations.cells import make_ablation
from scaseg_cli.ablations.find import read_sweep
from scaseg_cli.cli.app import app
from scaseg_cli.recipe import load_recipe

PAGE = (Path(__file__).parents[3] / "docs" / "ablations.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
SWEEPS = [text for kind, text in BLOCKS if kind == "yaml"]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_parses(line):
    words = shlex.split(line, comments=True)
    assert words[:2] == ["scaseg", "ablate"]
    get_command(app).commands["ablate"].make_context("ablate", words[2:])


def test_there_are_commands_and_sweeps():
    assert len(COMMANDS) >= 7
    assert len(SWEEPS) == 2


@pytest.mark.parametrize("text", SWEEPS)
def test_each_sweep_makes_cells(text, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    ablation = make_ablation("mine", read_sweep(tmp_path / "mine.yaml"), load_recipe("shapes-zps"), (0,))
    assert len(ablation.rows) >= 2
