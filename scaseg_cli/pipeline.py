"""The stages in order: what each command runs, and how `scaseg run` runs them all.

Stage functions are imported when they are called, so that a command loads only what it needs.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import recipe_of, save_recipe
from scaseg_cli.results.console import in_words, say
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table, read_table
from scaseg_cli.stages import STAGES, bring_back, is_done, recipe_key, stage_key, stages_for
from scaseg_cli.stages.outlook import Outlook, outlooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def split_dataset(recipe: Recipe, run: RunDir, **options: Any) -> StageReport:
    """Divide the classes and images; draw the embedded world first if the recipe uses it.

    Args:
        recipe: the recipe.
        run: the run folder.
        options: ``check_png``: how many panoptic PNGs of each list to read; None: all.
    """
    from scaseg_cli.split.split import split_dataset

    return split_dataset(recipe, run, **options)


def embed_classes(recipe: Recipe, run: RunDir) -> StageReport:
    """Embed the class names."""
    _say_one_process(recipe, "embeddings")
    from scaseg_cli.embeddings import embed_classes

    return embed_classes(recipe, run)


def train_base(recipe: Recipe, run: RunDir) -> StageReport:
    """Stage 1: train the segmentor, in the processes that the recipe sets."""
    from scaseg_cli.base.train import train_base

    if not recipe.base.validate_every:
        return train_base(recipe, run)
    if recipe.evaluation.choose_on != "unseen_labels":
        say(f"base: not measured while it trains, since evaluation.choose_on is {recipe.evaluation.choose_on}")
        return train_base(recipe, run)
    from scaseg_cli.evaluation.checks.stage_one import train

    return train_base(recipe, run, train)


def collect_queries(recipe: Recipe, run: RunDir) -> StageReport:
    """Run the frozen segmentor and store the query embeddings for stages 2 and 3, in the recipe's processes."""
    from scaseg_cli.queries.collect import collect_queries

    return collect_queries(recipe, run)


def train_folds(recipe: Recipe, run: RunDir) -> StageReport:
    """Train base models without some of the seen classes, on which `choose_on_folds` chooses."""
    from scaseg_cli.choose.cost import cost_in_words
    from scaseg_cli.folds.train import train_folds

    say(f"folds: {cost_in_words(recipe, run)}")
    return train_folds(recipe, run)


def choose_on_folds(recipe: Recipe, run: RunDir) -> StageReport:
    """Choose the recipe's auto values, a snapshot and increments on folds of the seen classes."""
    from scaseg_cli.choose.choose import choose_on_folds

    return choose_on_folds(recipe, run)


def choose(recipe: Recipe, run: RunDir) -> StageReport:
    """Train the folds, unless they are up to date, and choose on them."""
    folds, chosen = _step(recipe, run, "folds"), _step(recipe, run, "choose")
    tables, wrote = [*folds.tables, *chosen.tables], [*folds.wrote, *chosen.wrote]
    return dataclasses.replace(chosen, tables=tables, wrote=wrote, next_command="scaseg run")


def train_generator(recipe: Recipe, run: RunDir) -> StageReport:
    """Train the generator of stage 2, from the query store or, with ``cat.live``, from the segmentor."""
    _say_one_process(recipe, "cat")
    from scaseg_cli.cat.train import train_generator

    if not recipe.cat.live:
        return train_generator(recipe, run)
    from scaseg_cli.queries.collect import live_batches

    return train_generator(recipe, run, live_batches(recipe, run))


def train_cat(recipe: Recipe, run: RunDir) -> StageReport:
    """Stage 2: collect the query embeddings, unless they are up to date, and train the generator.

    The embeddings are also collected with ``cat.live``, since the union fine-tuning trains from them.
    """
    collected = None
    put_back(recipe, run, "queries")
    if is_done(recipe, run, "queries"):
        say("queries: up to date")
    else:
        collected = collect_queries(recipe, run)
    report = train_generator(recipe, run)
    if collected is None:
        return report
    return dataclasses.replace(
        report, tables=[*collected.tables, *report.tables], wrote=[*collected.wrote, *report.wrote]
    )


def union_finetune(recipe: Recipe, run: RunDir) -> StageReport:
    """Stage 3: fine-tune the class projector."""
    from scaseg_cli.union.finetune import union_finetune

    return union_finetune(recipe, run)


def evaluate(recipe: Recipe, run: RunDir) -> StageReport:
    """Evaluate the run and write the result table."""
    from scaseg_cli.evaluation.evaluate import evaluate

    return evaluate(recipe, run)


# The stages of `scaseg run`; the stage "data" is part of split_dataset.
STEPS: dict[str, Callable[[Recipe, RunDir], StageReport]] = {
    "split": split_dataset,
    "embeddings": embed_classes,
    "base": train_base,
    "queries": collect_queries,
    "folds": train_folds,
    "choose": choose_on_folds,
    "cat": train_generator,
    "union": union_finetune,
    "evaluation": evaluate,
}


def run_all(recipe: Recipe, run: RunDir) -> list[StageReport]:
    """Run every stage that is not up to date, in order.

    A result of this recipe that the run folder keeps is put back in its place instead, and the recipe becomes the run
    folder's own.

    Args:
        recipe: the recipe.
        run: the run folder.

    Returns:
        One report for each stage. Its summary says whether the stage ``ran`` now, and the
        ``seconds`` that it took, now or earlier. The report of an up-to-date stage is read from the run folder.
    """
    stages = stages_for(recipe)
    _refuse_early(recipe, run, stages)
    reports = [_step(recipe, run, stage) for stage in stages if stage in STEPS]
    _own(recipe, run)
    return reports


def _refuse_early(recipe: Recipe, run: RunDir, stages: Sequence[str]) -> None:
    """Refuse now what a stage would refuse after the hours that the stages before it may take."""
    for stage in stages:
        if not is_done(recipe, run, stage):
            run.check_links(stage)
    if any(one.stage == "base" and one.runs for one in outlooks(recipe, run)):
        from scaseg_cli.base.train import check_training

        check_training(recipe)


def _step(recipe: Recipe, run: RunDir, stage: str) -> StageReport:
    """Run a stage unless it is up to date or kept; the summary of its report says so."""
    put_back(recipe, run, *_parts(recipe, stage))
    if _up_to_date(recipe, run, stage):
        say(f"{stage}: up to date")
        report, ran, seconds = _report_of(run, stage), False, (run.record(stage) or {}).get("seconds")
    else:
        say(f"{stage}: {STAGES[stage].command}")
        started = time.monotonic()
        report, ran = STEPS[stage](recipe, run), True
        seconds = round(time.monotonic() - started, 2)
        say(f"{stage}: done in {in_words(seconds)}")
    return dataclasses.replace(report, summary={**report.summary, "ran": ran, "seconds": seconds})


def put_back(recipe: Recipe, run: RunDir, *stages: str) -> None:
    """Put the kept results of this recipe back in their places, and say so."""
    for stage in bring_back(recipe, run, *stages):
        say(f"{stage}: the kept result of this recipe is back")


def _own(recipe: Recipe, run: RunDir) -> None:
    """Make the recipe the run folder's own, if a command that was killed left another recipe's there."""
    try:
        own = stage_key(recipe_of(run.path), run, "evaluation") == stage_key(recipe, run, "evaluation")
    except ScasegError:
        own = False
    if not own:
        save_recipe(recipe, run.recipe_file)


def stage_states(recipe: Recipe, run: RunDir) -> Table:
    """Table of the stages in the run folder: done, kept, stale (of another recipe), begun, missing or damaged.

    A stage is damaged if its record cannot be read; a note below the table names the file.
    """
    found = _outlooks_of_steps(recipe, run)
    rows = [
        {"stage": one.stage, "state": one.state, "seconds": one.seconds, "command": STAGES[one.stage].command}
        | ({"why": one.why} if one.state != "damaged" else {})
        for one in found
    ]
    notes = [f"{one.why}. {one.advice}" for one in found if one.state == "damaged"]
    states = {row["stage"]: row["state"] for row in rows}
    if states["split"] == "stale" and "done" in states.values():
        notes.append(
            "Done: with the lists that the split wrote. What else is stale shows once the split has run again."
        )
    columns = [
        Column("stage", "stage"),
        Column("state", "state"),
        Column("seconds", "seconds", "number"),
        Column("command", "command"),
        Column("why", "why"),
    ]
    return Table(f"{recipe.name} in {run.path}", columns, rows, notes)


def run_plan(recipe: Recipe, run: RunDir) -> Table:
    """Table of what `run_all` would do: which stages run, why, and how long they took before. Nothing is written."""
    from scaseg_cli.choose.cost import cost_in_words

    does = {"done": "up to date", "kept": "put back", "begun": "resumes"}
    found = _outlooks_of_steps(recipe, run)
    rows = [
        {"stage": one.stage, "runs": one.runs, "does": does.get(one.state, "runs"), "seconds": one.seconds}
        | {"why": one.why}
        for one in found
    ]
    columns = [
        Column("stage", "stage"),
        Column("does", "what happens"),
        Column("seconds", "seconds before", "number"),
        Column("why", "why"),
        Column("runs", "runs", "flag", is_detail=True),
    ]
    folds = next((one for one in found if one.stage == "folds" and one.runs), None)
    notes = [_in_all(rows)]
    if folds is not None:
        notes.append(f"folds and choose: {cost_in_words(recipe, run)}.")
    if any(one.stage == "split" and one.runs for one in found):
        notes.append("Stages after the split are compared with its new lists, once they are written.")
    return Table(f"{recipe.name} in {run.path}: what scaseg run would do", columns, rows, notes)


def seeds_plan(recipes: Mapping[int, Recipe], run: RunDir) -> Table:
    """Table of what `scaseg run --seeds` would do: the plan of each seed, with the stages that seeds share.

    Args:
        recipes: the recipe of each seed.
        run: the run folder that the seeds' folders are in.
    """
    folders = {seed: run.of_seed(seed) for seed in recipes}
    made: dict[str, int] = {}  # by key: the seed that a later one shares a stage with
    rows: list[dict[str, Any]] = []
    columns: list[Column] = []
    for seed, recipe in recipes.items():
        plan = run_plan(recipe, folders[seed])
        columns = plan.columns
        donors = [run, *(folder for other, folder in folders.items() if other != seed)]
        for row in plan.rows:
            stage, key = row["stage"], recipe_key(recipe, row["stage"])
            donor = next((other for other in donors if _up_to_date(recipe, other, stage)), None)
            if row["runs"] and (donor is not None or key in made):
                source = f"with {donor.path}" if donor is not None else f"with seed {made[key]}"
                row = {**row, "does": "shared", "runs": False, "why": source}
            made.setdefault(key, seed)
            rows.append({"seed": str(seed), **row})
    title = f"{next(iter(recipes.values())).name} in {run.seeds}: what scaseg run --seeds would do"
    return Table(title, [Column("seed", "seed"), *columns], rows, [_in_all(rows)])


def _in_all(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many of a plan's stages run, and the time that those took before."""
    known = [row["seconds"] for row in rows if row["runs"] and row["seconds"] is not None]
    took = f" Those that ran before took {in_words(sum(known))}." if known else ""
    return f"{sum(row['runs'] for row in rows)} of {len(rows)} stages run.{took}"


def _outlooks_of_steps(recipe: Recipe, run: RunDir) -> list[Outlook]:
    """The outlook of each step; that of the split is of the embedded world too, which it draws."""
    found = {one.stage: one for one in outlooks(recipe, run)}
    data = found.pop("data", None)
    if data is not None and data.state != "done" and (data.runs or not found["split"].runs):
        why = f"data: {data.why}" if data.why and data.state != "damaged" else data.why
        state = "stale" if data.state == "missing" and found["split"].state == "done" else data.state
        found["split"] = dataclasses.replace(data, stage="split", state=state, why=why)
    return list(found.values())


def _parts(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """The stages of a step: that of the split draws the embedded world too."""
    return ("data", "split") if stage == "split" and recipe.data.shapes is not None else (stage,)


def _up_to_date(recipe: Recipe, run: RunDir, stage: str) -> bool:
    return all(is_done(recipe, run, part) for part in _parts(recipe, stage))


def _report_of(run: RunDir, stage: str) -> StageReport:
    """The report of a finished stage, read from its record and result table."""
    record = run.record(stage) or {}
    tables = []
    if stage == "choose":
        tables.append(read_table(run.fold_table_file))
    if stage == "evaluation":
        tables.append(read_table(run.results_file))
        written = {run.path / name for name in record.get("outputs", {})}
        tables += [read_table(file) for file in (run.intervals_file, run.neighbours_file) if file in written]
    wrote: list[Path] = [run.path / name for name in record.get("outputs", {})]
    return StageReport(stage, tables, wrote, None, dict(record.get("summary", {})))


def _say_one_process(recipe: Recipe, stage: str) -> None:
    if recipe.gpus > 1 or recipe.processes > 1:
        say(f"{stage}: runs in one process")
