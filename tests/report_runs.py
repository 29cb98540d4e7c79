"""Run folders as a finished evaluation leaves them, with tables and records only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from scaseg_cli.comparison.finished_run import FinishedRun, open_run
from scaseg_cli.files import hash_file, write_json
from scaseg_cli.recipe import load_recipe, save_recipe
from scaseg_cli.results.table import Column, Table, write
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import STAGES, stage_key

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

Make = Callable[..., FinishedRun]

CLASSES = [("cat", True), ("d<o>g", True), ("cow", False), ("yak", False)]
MAIN = {"inductive": (0.6, 0.2, 0.3), "transductive": (0.6, 0.4, 0.48)}


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    """Make a run folder ``name`` and open it.

    ``changes`` apply to the recipe; ``main`` has three figures per main row, and ``by_class`` one per class.
    """

    def make(
        name: str = "one",
        changes: tuple[str, ...] = (),
        main: dict[str, tuple[float, float, float]] | None = None,
        by_class: tuple[float | None, ...] = (0.5, 0.25, 0.125, None),
        recipe: str = "shapes-zps",
    ) -> FinishedRun:
        run, made_with = RunDir(tmp_path / name), load_recipe(recipe, changes)
        write_run(run, made_with, main, by_class)
        return open_run(name, run.path, made_with)

    return make


def write_run(
    run: RunDir,
    made_with: Recipe,
    main: dict[str, tuple[float, float, float]] | None = None,
    by_class: tuple[float | None, ...] = (0.5, 0.25, 0.125, None),
) -> None:
    """Write a finished run; ``main`` has three figures per main row, and ``by_class`` one per class."""
    main = main or MAIN
    measure = {"zps": "pq", "zss": "iou"}[made_with.task]
    save_recipe(made_with, run.recipe_file)
    write(_results(measure, main), run.path / "evaluation", "results")
    write(_per_class(measure, by_class), run.path / "evaluation", "per-class")
    for stage in STAGES:
        outputs = [run.results_file, run.per_class_file] if stage == "evaluation" else []
        _record(run, made_with, stage, outputs, _summary(measure, main) if stage == "evaluation" else {})


def _summary(measure: str, main: dict[str, tuple[float, float, float]]) -> dict[str, Any]:
    """The figures of a record: by row, group of classes and measure."""
    groups = ("seen", "unseen", "harmonic")
    return {
        row: {group: {measure: value} for group, value in zip(groups, figures, strict=True)}
        for row, figures in main.items()
    }


def _results(measure: str, main: dict[str, tuple[float, float, float]]) -> Table:
    keys = [f"{letter}{measure}" for letter in "suh"]
    columns = [Column("setting", "setting"), Column("model", "model"), Column("increment", "increment", "number")]
    columns += [Column(key, key[0] + measure.upper(), "percent") for key in keys]
    rows = [
        {"setting": setting, "model": "base", "increment": 1.0, **dict(zip(keys, figures, strict=True))}
        for setting, figures in main.items()
    ]
    return Table("one: quality", columns, rows, ["Some <i>images</i>."])


def _per_class(measure: str, by_class: tuple[float | None, ...]) -> Table:
    columns = [Column("class", "Class"), Column("seen", "Seen", "flag"), Column(measure, measure.upper(), "percent")]
    rows = [
        {"class": name, "seen": seen, measure: value} for (name, seen), value in zip(CLASSES, by_class, strict=True)
    ]
    return Table("transductive, best snapshot: by class", columns, rows, [])


def _record(run: RunDir, recipe: Any, stage: str, outputs: list[Path], summary: dict[str, Any]) -> None:
    needs = {need: stage_key(recipe, run, need) for need in STAGES[stage].needs}
    content = {"key": stage_key(recipe, run, stage), "seed": 3, "gpus": 0, "processes": 1, "nodes": 1, "seconds": 1.5}
    files = {
        str(path.relative_to(run.path)): {"sha256": hash_file(path), "bytes": path.stat().st_size} for path in outputs
    }
    more = {
        "summary": summary,
        "needs": needs,
        "outputs": files,
        "versions": {"torch": "2.1"},
        "commit": "abc" * 13,
        "outside_files": {},
    }
    write_json(run.record_file(stage), {"stage": stage, **content, **more})
