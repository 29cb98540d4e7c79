"""The result table: inductive, transductive and control rows, from one pass over the validation images."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.evaluation.checks.nothing_found import why_nothing
from scaseg_cli.evaluation.clip_on_masks.tuning import tune_weights
from scaseg_cli.evaluation.pictures.examples import ExampleRow, Shown, draw_rows, save_examples
from scaseg_cli.evaluation.rows import ScoredRow, table_rows
from scaseg_cli.evaluation.score import Scores, score
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.evaluation.shared_pass import RecipeRun, ReportOrError, Work, check_cells, only, share_pass
from scaseg_cli.files import write_bytes
from scaseg_cli.measures.bootstrap import Bootstrap
from scaseg_cli.measures.result_table import (
    CLIP_MAIN,
    MAIN,
    ResultRow,
    advice,
    class_table,
    interval_table,
    neighbour_table,
    result_table,
)
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Table, paths_of, write
from scaseg_cli.stages import needs_of, recording, require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.measures.bootstrap import ImageCounts
    from scaseg_cli.measures.summary import Summary
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


class _Request(NamedTuple):
    """What a run needs from the pass: figures for its rows, and the columns of its picture."""

    rows: list[ScoredRow]
    shown: list[Shown]


class _Answer(NamedTuple):
    """What the pass returns to a run."""

    scored: ScoredSet
    scores: Scores
    picture: list[ExampleRow]
    nothing: str | None


def evaluate(recipe: Recipe, run: RunDir) -> StageReport:
    """Score the run's models on the validation images.

    Writes the result table, the per-class table and a picture of a few images.

    Raises:
        ScasegError: an earlier stage is missing or was made by another recipe, or an image cannot be read.
    """
    return only(evaluate_all([(recipe, run)]))


def evaluate_all(cells: Sequence[RecipeRun]) -> list[ReportOrError]:
    """Run `evaluate` for many runs on the same base model and data, with one pass of the network for all.

    Each run folder gets the files that its own command would write. A record's seconds are the run's own time plus an
    equal part of the pass.

    Args:
        cells: recipes and run folders. The first cell that reaches the pass sets its processes and batch size.

    Returns:
        For each cell, its report or the error that ended this cell alone, such as a missing stage.

    Raises:
        ScasegError: an image or the base model cannot be read. This ends all cells.
        ValueError: the cells differ in their base model or data, or two cells have the same run folder.
    """
    check_cells(cells)

    def one_pass(requests: list[tuple[int, _Request]]) -> list[_Answer]:
        recipes = [cells[index][0] for index, _ in requests]
        scored = ScoredSet(*cells[requests[0][0]], "validation")
        candidates = [[row.candidate for row in request.rows] for _, request in requests]
        scores = score(scored, list(zip(recipes, candidates, strict=True)))
        columns = [request.shown for _, request in requests]
        pictures = draw_rows(scored, list(zip(recipes, columns, strict=True)))
        # Another pass that cells of an ablation do without, since most of them find something.
        nothing = _why_nothing(scored, scores[0], requests[0][1].rows) if len(requests) == 1 else None
        return [_Answer(scored, *found, nothing) for found in zip(scores, pictures, strict=True)]

    return share_pass([_evaluation(*cell) for cell in cells], one_pass)


def _evaluation(recipe: Recipe, run: RunDir) -> Work[_Request, _Answer]:
    """One run's evaluation; it yields its request to the shared pass."""
    require(recipe, run, "split", "embeddings", *needs_of(recipe, "evaluation"))
    rows = table_rows(recipe, run)
    tunes = recipe.evaluation.clip_weights == "tuned" and any(row.image_tower for row in rows)
    folder = run.results_file.parent
    stems, neighbours = ["results", "per-class", "intervals"], None
    if {"base", "transductive"} <= {row.name for row in rows}:
        stems.append("neighbours")
    outputs = [path for stem in stems for path in paths_of(folder, stem)]
    outputs += [run.examples_file, run.image_counts_file, *([run.clip_weights_file] if tunes else [])]
    with recording(recipe, run, "evaluation", *outputs) as summary:
        if tunes:
            rows = table_rows(recipe, run, tune_weights(recipe, run, rows))
        shown = [Shown(row.setting, _in_brief(row), row.candidate) for row in rows if row.name in (*MAIN, CLIP_MAIN)]
        (scored, (summaries, counts), picture, nothing), summary.waited = yield _Request(rows, shown)
        table = result_table(recipe.name, scored.measure, len(scored.images.images), rows, summaries)
        main = next(row for row in reversed(rows) if row.setting != "control" and row.name != "last")
        title = f"{main.setting}, {main.model}: by class"
        table.notes.extend(advice(rows, summaries, recipe.evaluation.increments))
        write(table, folder, "results")
        write(class_table(title, scored.measure, summaries[main.name], scored.classes.names), folder, "per-class")
        intervals = interval_table(scored.measure, rows, summaries, Bootstrap(scored.measure, counts))
        write(intervals, folder, "intervals")
        _write_counts(run, scored, counts)
        if "neighbours" in stems:
            neighbours = _neighbours(recipe, run, scored, summaries["base"], summaries["transductive"])
            write(neighbours, folder, "neighbours")
        save_examples(recipe, run, scored, shown, picture, load_embeddings(recipe, run))
        summary.update({row.name: summaries[row.name].as_json_value() for row in rows})
    if nothing is not None:  # not in the file, which is the same as that of an ablation's cell
        table.notes.append(f"All figures are 0: {nothing}")
    tables = [table, intervals, *([neighbours] if neighbours is not None else [])]
    return StageReport("evaluation", tables, outputs, None, dict(summary))


def _why_nothing(scored: ScoredSet, scores: Scores, rows: Sequence[ScoredRow]) -> str | None:
    """Why all figures of a run are 0; None if one is not."""
    if any(one.seen != 0 or one.unseen > 0 for one in scores.summaries.values()):
        return None
    return why_nothing(scored, rows[0].candidate, scored.images.images)


def _write_counts(run: RunDir, scored: ScoredSet, counts: dict[str, ImageCounts]) -> None:
    """Write the counts by image and class of each row, and the image ids, for other comparisons of runs."""
    ids = np.array([str(record.image_id) for record in scored.images.images])
    content = io.BytesIO()
    arrays = {f"counts/{name}": found.pairs_E for name, found in counts.items()}
    np.savez_compressed(content, image_ids=ids, **arrays)  # type: ignore[arg-type]  # no array is named allow_pickle
    write_bytes(run.image_counts_file, content.getvalue())


def _neighbours(recipe: Recipe, run: RunDir, scored: ScoredSet, before: Summary, after: Summary) -> Table:
    """The table of unseen classes and their nearest seen classes, by the class names' vectors."""
    classes = scored.classes
    nearest = load_embeddings(recipe, run).nearest_seen(classes.num_seen)
    pairs = list(enumerate(nearest, start=classes.num_seen))
    return neighbour_table(before, after, classes.names, pairs)


def _in_brief(row: ResultRow) -> str:
    """A description of a row of `MAIN` that fits above a column of the picture."""
    if row.name == CLIP_MAIN:
        return "the same, with CLIP on masks"
    if row.name == "transductive":
        return "fine-tuned with generated unseen queries"
    return f"base model, unseen logits {row.increment:+g}"
