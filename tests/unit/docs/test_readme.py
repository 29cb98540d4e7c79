"""What README.md shows can be typed: its commands parse, its recipes are right, its files and make targets exist."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from scaseg_cli.cli.app import app
from scaseg_cli.recipe import load_recipe

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
SHELL = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
COMMANDS = [line for line in SHELL if line.startswith("scaseg ")] + re.findall(r"`(scaseg [a-z][^`]+)`", PAGE)
RECIPES = [text for kind, text in BLOCKS if kind == "yaml"]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_parses(line):
    words = shlex.split(re.split(r" 2>| \| ", line)[0], comments=True)[1:]
    command = get_command(app)
    while words and words != ["--help"] and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    if words != ["--help"]:
        command.make_context("scaseg", words)  # parses; nothing runs


def test_the_commands_of_a_run_are_all_there_in_order():
    stages = ["split-dataset", "embed-classes", "train-base", "train-cat", "union-finetune", "evaluate"]
    shown = [line.split()[1] for line in SHELL if line.startswith("scaseg ")]
    first = shown.index("split-dataset")
    assert shown[first : first + len(stages)] == stages


def test_the_recipes_are_right(tmp_path):
    for text in RECIPES:
        (tmp_path / text.split()[1]).write_text(text)
    short = load_recipe(str(tmp_path / "mine-short.yaml"))
    assert (short.name, short.base.crop, short.data.root) == ("mine-short", 512, "coco")
    assert load_recipe(str(tmp_path / "mine.yaml")).base.iterations == 140_350


def test_changed_keys_exist():
    changes = [word for line in COMMANDS for word in re.findall(r"--set (\S+=\S+)", line)]
    assert len(changes) >= 3
    load_recipe("shapes-zps", tuple(changes))


def test_make_targets_exist():
    targets = re.findall(r"^([\w ]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    shown = set(re.findall(r"(?:^    |`)make (\w+)", PAGE, flags=re.MULTILINE))
    assert shown == {"demo", "test", "check"}
    assert shown <= {name for line in targets for name in line.split()}


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "architecture.md"], ids=lambda path: path.name)
def test_linked_files_exist(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert links
    made = ROOT / "docs" / "shapes-benchmark.md"  # benchmarks/shapes.py writes it
    assert [link for link in links if not (page.parent / link).is_file() and page.parent / link != made] == []


def test_files_that_the_architecture_names_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    known = {path.name for path in ROOT.glob("scaseg_cli/**/*.py")} | {path.name for path in ROOT.glob("tests/**/*.py")}
    named = re.findall(r"`([\w/]+\.py)`", text)
    assert len(named) > 30
    assert [name for name in named if Path(name).name not in known] == []
    packages = set(re.findall(r"`(\w+)/`", text)) - {"data"}
    assert [name for name in packages if not (ROOT / "scaseg_cli" / name).is_dir()] == []


def test_the_layers_are_those_of_pyproject():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = " > ".join(contracts[0]["layers"]).replace(" | ", ", ")
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert layers in " ".join(text.split())
