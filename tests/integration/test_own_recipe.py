"""A run folder is enough: commands on finished results take the recipe in it, and say so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import scaseg

if TYPE_CHECKING:
    from damaged_world import World

COMMANDS = {
    "status": (),
    "predict": ("data/validation/000002000001.png",),
    "visualize": ("--number", "1", "-o", "grid.png"),
    "evaluate": (),
    "report": ("--images", "0"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_run_folders_own_recipe_is_taken(world: World, command: str) -> None:
    outcome = scaseg(world.capfd, command, *COMMANDS[command], "-w", "run", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.err.startswith("recipe: run/recipe.yaml\n")
    json.loads(outcome.out)


def test_a_changed_key_is_named_by_what_needs_the_changed_result(world: World) -> None:
    picture = COMMANDS["predict"][0]
    world.refuses(
        "predict", picture, "--set", "base.tau=0.1", saying=("base was made by another recipe: base.tau was ",)
    )
    outcome = scaseg(world.capfd, "predict", picture, "-w", "run", "--set", "base.tau=0.1")
    assert outcome.code == 2
    assert "recipe: run/recipe.yaml\n" in outcome.err
    assert "base.tau was 0.0" in outcome.err


def test_a_recipe_of_the_folder_that_cannot_be_read_is_named(world: World) -> None:
    (world.folder / "run" / "recipe.yaml").write_text("task: none of these\n")
    outcome = scaseg(world.capfd, "status", "-w", "run")
    assert outcome.code == 2
    assert "run/recipe.yaml" in outcome.err
    assert world.scaseg("status").code == 0  # --recipe takes precedence
