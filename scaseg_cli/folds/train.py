"""The stage "folds": for each fold, a base model that never met its held-out classes, and its query embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from scaseg_cli.base.train import train_base
from scaseg_cli.embeddings import embed_classes
from scaseg_cli.files import read_own_json, write_json
from scaseg_cli.folds.division import divide, names_in_brief
from scaseg_cli.folds.fold import fold_recipe, fold_run, split_fold
from scaseg_cli.queries.collect import collect_queries
from scaseg_cli.results.console import say, say_plainly
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.lists import label_indexes, open_set
from scaseg_cli.stages import is_done, recording, require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

_AGAIN = "Run `scaseg choose` with this recipe (`scaseg run` does all in order)."
_STEPS: dict[str, Callable[[Recipe, RunDir], StageReport]] = {
    "embeddings": embed_classes,
    "base": train_base,
    "queries": collect_queries,
}
MADE = ("split", *_STEPS)  # the stages of a fold's run folder


class _File(TypedDict):
    held_out: list[list[str]]
    set_aside: list[int | str]


def train_folds(recipe: Recipe, run: RunDir) -> StageReport:
    """Train a base model and collect query embeddings for each fold; what a killed run has finished is kept.

    Raises:
        ScasegError: an earlier stage is missing, the classes or images are too few, or a training failed.
    """
    require(recipe, run, "split", "embeddings")
    classes, train = read_classes(run), open_set(recipe, run, "train")
    division = divide(recipe.folds, classes, train)
    digest = (run.record("split") or {})["lists"]["train"]
    folds = [(fold_recipe(recipe, names), number) for number, names in enumerate(division.held_out)]
    outputs = [run.folds_file, *(path for own, number in folds for path in _files(own, run, number))]
    rows = []
    with recording(recipe, run, "folds", *outputs) as summary:
        write_json(run.folds_file, {"held_out": division.held_out, "set_aside": division.set_aside})
        for own, number in folds:
            fold = fold_run(own, run, number)
            title = f"fold {number + 1} of {len(folds)}"
            say_plainly(f"{title}: holds out {names_in_brief(division.held_out[number])}")
            split_fold(own, fold, train, classes, division, digest)
            for stage, work in _STEPS.items():
                if is_done(own, fold, stage):
                    say(f"{title}, {stage}: up to date")
                    continue
                say(f"{title}, {stage}")
                work(own, fold)
            rows.append(_row(number, fold))
        summary["folds"] = rows
    return StageReport("folds", [_table(rows)], [run.folds_file], None, dict(summary))


def open_folds(recipe: Recipe, run: RunDir) -> list[tuple[Recipe, RunDir]]:
    """The recipe and the run folder of each fold that the finished stage made.

    Raises:
        ScasegError: the stage has not finished for this recipe, or its files are damaged.
    """
    require(recipe, run, "folds")
    held_out = read_own_json(run.folds_file, "the list of folds", _File, _AGAIN)["held_out"]
    return [(fold_recipe(recipe, names), fold_run(recipe, run, number)) for number, names in enumerate(held_out)]


def _files(recipe: Recipe, run: RunDir, number: int) -> list[Path]:
    """The files of a fold that later stages read, with the records of its stages."""
    fold = RunDir(run.fold("folds", number))
    made = [fold.classes_file, fold.images_file, *dict.fromkeys(label_indexes(recipe, fold).values())]
    made += [fold.embeddings_file, fold.base_file, fold.queries_file]
    return [*made, *(fold.record_file(stage) for stage in MADE)]


def _row(number: int, fold: RunDir) -> dict[str, object]:
    records = {stage: fold.record(stage) or {} for stage in MADE}
    split = records["split"]["summary"]
    return {
        "fold": number,
        "held_out": ", ".join(split["held_out"]),
        "train": split["train"],
        "selection": split["selection"],
        "seconds": round(sum(record["seconds"] for record in records.values()), 2),
    }


def _table(rows: list[dict[str, object]]) -> Table:
    columns = [
        Column("fold", "fold", "count"),
        Column("held_out", "held out"),
        Column("train", "trains on", "count"),
        Column("selection", "chooses on", "count"),
        Column("seconds", "seconds", "number"),
    ]
    notes = ["Images are training images of the run. Those that it chooses on are in no fold's training."]
    return Table("Folds of the seen classes", columns, rows, notes)
