"""Checks that README.md and its guides can be typed: commands parse, recipes load, files and make targets exist."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from scaseg_cli.cli.app import app
from scaseg_cli.recipe import load_recipe

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
GUIDES = [ROOT / "docs" / name for name in ("quickstart.md", "shapes-world.md", "own-data.md")]
PAGES = [README, *GUIDES]
LINKING = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]
MOST_LINES = 150


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _blocks(page: Path, *kinds: str) -> list[str]:
    found = re.findall(r"^```(\w+)\n(.*?)^```", _text(page), flags=re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind in kinds]


def _shell(page: Path, *kinds: str) -> list[str]:
    return [line for text in _blocks(page, *kinds) for line in text.splitlines()]


def _commands(page: Path) -> list[str]:
    """Every line of scaseg in a block, runnable or not, and every one within a sentence."""
    lines = [line for line in _shell(page, "sh", "text") if line.startswith("scaseg ")]
    return lines + re.findall(r"`(scaseg [a-z][^`]+)`", _text(page))


COMMANDS = [(page.name, line) for page in PAGES for line in _commands(page)]


def test_the_readme_fits_on_a_few_screens():
    assert len(_text(README).splitlines()) <= MOST_LINES


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_each_command_parses(page, line):  # noqa: ARG001  # the page is part of the test's name
    words = shlex.split(re.split(r" 2>| \| ", line)[0], comments=True)[1:]
    command = get_command(app)
    while words and words != ["--help"] and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    if words != ["--help"]:
        command.make_context("scaseg", words)  # parses; nothing runs


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_runnable_blocks_need_no_data_of_the_readers_own(page):
    """A block marked sh runs in a fresh clone after make demo: no COCO, no GPU, no file that nothing made."""
    lines = _shell(page, "sh")
    assert [line for line in lines if re.search(r"coco|--gpus|mine[\w-]*\.yaml|\.jpg", line)] == []


def test_predicted_images_are_images_that_the_demo_makes():
    recipe = load_recipe("shapes-zps")
    images = [path for line in _shell(README, "sh") for path in re.findall(r"(runs/\S+\.png)", line)]
    assert images
    first = 2_000_001  # the validation images have the ids from here on
    for path in images:
        folder, _, name = path.rpartition("/")
        assert folder == "runs/shapes-zps/data/validation"
        assert first <= int(name.removesuffix(".png")) < first + recipe.data.shapes.num_validation


def test_the_commands_of_a_run_are_all_there_in_order():
    stages = ["split-dataset", "embed-classes", "train-base", "train-cat", "union-finetune", "evaluate"]
    shown = [line.split()[1] for line in _shell(ROOT / "docs" / "quickstart.md", "sh") if line.startswith("scaseg ")]
    first = shown.index("split-dataset")
    assert shown[first : first + len(stages)] == stages


def test_the_recipes_are_right(tmp_path):
    for text in _blocks(ROOT / "docs" / "own-data.md", "yaml"):
        (tmp_path / text.split()[1]).write_text(text)
    short = load_recipe(str(tmp_path / "mine-short.yaml"))
    assert (short.name, short.base.crop, short.data.root) == ("mine-short", 512, "coco")
    assert load_recipe(str(tmp_path / "mine.yaml")).base.iterations == 140_350


def test_changed_keys_exist():
    changes = [word for _, line in COMMANDS for word in re.findall(r"--set (\S+=\S+)", line)]
    assert len(changes) >= 3
    load_recipe("shapes-zps", tuple(changes))


def test_readme_and_quickstart_show_the_same_result_table():
    rows = re.findall(r"^\|.*PQ %.*\n(?:\|.*\n)+", _text(README), flags=re.MULTILINE)
    assert len(rows) == 1
    assert rows[0] in _text(ROOT / "docs" / "quickstart.md")


def _targets() -> set[str]:
    lines = re.findall(r"^([\w -]+):", _text(ROOT / "Makefile"), flags=re.MULTILINE)
    return {name for line in lines for name in line.split()}


def test_make_targets_exist():
    shown = {
        page.name: set(re.findall(r"(?:^    |`)make ([\w-]+)", _text(page), flags=re.MULTILINE)) for page in LINKING
    }
    assert {"demo", "test"} <= shown["README.md"]
    assert {"demo", "test", "check", "docs"} <= shown["quickstart.md"]
    assert {"check", "test", "docs", "release-check"} <= shown["CONTRIBUTING.md"]
    assert set().union(*shown.values()) <= _targets()


@pytest.mark.parametrize("page", LINKING, ids=lambda path: path.name)
def test_linked_files_exist(page):
    text = _text(page)
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text)
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_of_the_documentation_is_linked_from_the_readme():
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", _text(README)))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} == linked


def test_the_citation_is_the_readmes():
    citation = _text(ROOT / "CITATION.cff")
    (entry,) = _blocks(README, "bibtex")
    for field in ("title", "version"):
        (value,) = re.findall(rf'^{field}: "?(.+?)"?$', citation, flags=re.MULTILINE)
        assert f"{{{value}}}" in entry
    assert '- name: "The scaseg developers"' in citation
    assert "{{The scaseg developers}}" in entry


def test_files_that_the_architecture_names_exist():
    text = _text(ROOT / "docs" / "architecture.md")
    known = {path.name for path in ROOT.glob("scaseg_cli/**/*.py")} | {path.name for path in ROOT.glob("tests/**/*.py")}
    named = re.findall(r"`([\w/]+\.py)`", text)
    assert len(named) > 30
    assert [name for name in named if Path(name).name not in known] == []
    packages = set(re.findall(r"`(\w+)/`", text)) - {"data"}
    assert [name for name in packages if not (ROOT / "scaseg_cli" / name).is_dir()] == []


def test_the_layers_are_those_of_pyproject():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = " > ".join(contracts[0]["layers"]).replace(" | ", ", ")
    text = _text(ROOT / "docs" / "architecture.md")
    assert layers in " ".join(text.split())
