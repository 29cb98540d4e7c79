"""What docs/clusters.md shows can be typed: its commands parse, its recipe is right, the keys that it names exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from scaseg_cli.cli.app import app
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Slurm

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "clusters.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.startswith("scaseg ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_parses(line: str) -> None:
    _, name, *words = shlex.split(line)
    get_command(app).commands[name].make_context("scaseg", words)  # type: ignore[attr-defined]  # nothing runs


def test_there_are_commands_for_one_machine_for_several_and_for_a_cluster() -> None:
    text = "\n".join(COMMANDS)
    assert all(option in text for option in ("--gpus 1", "--gpus 8", "--nodes 2", "--node-rank 1", "--launcher slurm"))


def test_the_recipe_is_right(tmp_path: Path) -> None:
    (text,) = (text for kind, text in BLOCKS if kind == "yaml")
    (tmp_path / "cluster.yaml").write_text(text)
    assert load_recipe(str(tmp_path / "cluster.yaml")).slurm.partition == "gpu"
    assert set(Slurm.model_fields) <= set(re.findall(r"`(\w+)`", PAGE)) | {"time"}


def _value(recipe: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        recipe = getattr(recipe, part)
    return recipe


def test_the_keys_that_it_names_exist_and_the_changes_are_right() -> None:
    recipe = load_recipe("coco-zps")
    keys = set(re.findall(r"`((?:base|slurm)\.[\w.]+)[:`]", PAGE))
    assert len(keys) >= 8
    for key in keys:
        _value(recipe, key)
    changes = re.findall(r"--set (\w\S*=\w+)", PAGE)
    assert len(changes) >= 3
    load_recipe("coco-zps", tuple(changes))


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        name, _, anchor = target.partition("#")
        page = (DOCS / name).read_text(encoding="utf-8") if name else PAGE
        headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, target
