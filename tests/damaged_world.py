"""A tiny finished run on data of its own, copies of it to damage, and what a refusal must look like."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from command_line import Outcome, assert_nothing_lost, contents, scaseg

from scaseg_cli.cli.app import main
from scaseg_cli.files import hash_file
from scaseg_cli.recipe import load_recipe
from scaseg_cli.shapes.make import make_shapes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECIPE = """
extends: shapes-zps
name: tiny
threads: 1
data: {shapes: null, root: data}
base: {iterations: 2, batch_size: 2, checkpoint_every: 1000}
queries: {views: 1}
cat: {iterations: 5, batch_size: 32}
union: {iterations: 4, batch_size: 32, candidates: 1}
evaluation: {increments: [1.0]}
"""
MAX_LINES = 8


@dataclass(frozen=True)
class World:
    """A folder, the current one, with a recipe, its data and its finished run."""

    folder: Path
    capfd: pytest.CaptureFixture[str]

    def scaseg(self, command: str, *arguments: str) -> Outcome:
        """Run a command with the tiny recipe in the finished run's folder."""
        return scaseg(self.capfd, command, "-r", "tiny.yaml", "-w", "run", *arguments)

    def refuses(self, command: str, *arguments: str, saying: tuple[str, ...], lines: int = MAX_LINES) -> str:
        """The command ends as a person's mistake should; returns what it says."""
        before = contents(self.folder / "run")
        outcome = self.scaseg(command, *arguments)
        check_refusal(outcome, saying, lines)
        assert_nothing_lost(before, self.folder / "run")
        return outcome.err

    def edit(self, part: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the annotation file of ``part``."""
        path = self.folder / "data" / "annotations" / f"panoptic_{part}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def adopt(self, stage: str) -> None:
        """Let the record of ``stage`` say that its files are as it wrote them, so that only their content is wrong."""
        path = self.folder / "run" / stage / "record.json"
        record = json.loads(path.read_text())
        for name, output in record["outputs"].items():
            file = self.folder / "run" / name
            output.update(sha256=hash_file(file), bytes=file.stat().st_size)
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def check_refusal(outcome: Outcome, saying: tuple[str, ...], lines: int = MAX_LINES) -> None:
    """Exit code 2, nothing on stdout, and on stderr a few lines with all of ``saying`` (regular expressions)."""
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert "error: " in outcome.err
    said = outcome.err[outcome.err.index("error: ") :]
    assert len(said.splitlines()) <= lines, said
    for pattern in saying:
        assert re.search(pattern, said), said


def finish_run(folder: Path) -> None:
    """Draw the data of a tiny world into ``folder`` and carry out all stages there."""
    changes = ("num_train=24", "num_selection=8", "num_validation=8", "unseen_fraction=0.2")
    shapes = load_recipe("shapes-zps", tuple(f"data.shapes.{change}" for change in changes)).data.shapes
    assert shapes is not None
    make_shapes(folder / "data", shapes)
    (folder / "tiny.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "-r", "tiny.yaml", "-w", "run"]) == 0


def cut(path: Path, part: float = 0.5) -> None:
    """Keep the beginning of a file, as when a copy or a download was broken off."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
