"""`scaseg peers`: runs the cells that are missing, scores every row in one pass, and writes the table."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from scaseg_cli.clip.regions import MaskView
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import probabilities_of
from scaseg_cli.evaluation.clip_on_masks.use import ClipUse
from scaseg_cli.evaluation.score import Scores, score
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.files import hash_value, read_json, write_json
from scaseg_cli.measures.bootstrap import Bootstrap
from scaseg_cli.measures.measure import LETTERS
from scaseg_cli.peers.cells import OWN, Cell, plan_cells
from scaseg_cli.peers.published import published_table
from scaseg_cli.peers.rows import ORACLE_INCREMENT, PeerRow, clip_rows, increment_rows, own_rows
from scaseg_cli.results.console import say
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table, paths_of, read_table, write
from scaseg_cli.stages import stage_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaseg_cli.ablations.jobs.launcher import JobLauncher
    from scaseg_cli.evaluation.candidates import Candidate
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_TIMED = 48  # images on which the milliseconds are measured
_METHODS: tuple[Literal["crops", "pooled"], ...] = ("crops", "pooled")
_RECORD = "record.json"


def compare_peers(recipe: Recipe, work: RunDir, launcher: JobLauncher) -> StageReport:
    """Run what is missing, and write the table of all peers into the folder ``peers`` of the run.

    The same command again runs only what is missing; with nothing changed it reads the table.

    Args:
        recipe: the recipe.
        work: its run folder.
        launcher: starts the stages.

    Raises:
        ScasegError: a stage failed, an image cannot be read, or the folder cannot be written.
    """
    folder = work.folder("peers")
    cells = plan_cells(recipe, work).run(launcher)
    own = cells[OWN]
    key = _key(recipe, cells)
    paths = [path for stem in ("results", "published") for path in paths_of(folder, stem)]
    record = folder / _RECORD
    if (
        record.is_file()
        and read_json(record, "the peers' record").get("key") == key
        and all(p.is_file() for p in paths)
    ):
        say("peers: up to date")
        return StageReport("peers", [read_table(folder / f"{stem}.json") for stem in ("results", "published")], paths)
    scored = ScoredSet(own.recipe, own.run, "validation")
    views, notes = _mask_views(recipe, scored)
    rows = own_rows(cells, folder)
    weights = recipe.evaluation.clip_seen_weight, recipe.evaluation.clip_unseen_weight
    rows += clip_rows(rows, views, weights)
    rows += increment_rows(rows, recipe.evaluation.increments)
    (scores,) = score(scored, [(own.recipe, [row.candidate for row in rows])])
    rows, scores = _with_best_increment(rows, scores)
    milliseconds = _milliseconds(scored, rows[0].candidate, views)
    if views:
        notes.append(f"CLIP on masks: exponents {weights[0]:g} for seen and {weights[1]:g} for unseen classes.")
    table = _table(recipe, scored, rows, scores, milliseconds, own.seconds["base"], notes)
    published = published_table(recipe.task, scored.measure.quantities[0].title)
    write(table, folder, "results")
    write(published, folder, "published")
    write_json(record, {"key": key})
    return StageReport("peers", [table, published], paths)


def peer_candidate(recipe: Recipe, work: RunDir, name: str) -> tuple[str, Candidate]:
    """The title and the classifier of a row of a finished comparison, by name.

    Raises:
        ScasegError: there is no such row, or `scaseg peers` has not run with this recipe.
    """
    plan = plan_cells(recipe, work)
    cells = {one: cell for one in plan.names.values() if (cell := plan.cell(one)) is not None}
    if len(cells) < len(plan.names) or not (work.path / "peers" / _RECORD).is_file():
        raise ScasegError(f"{work.path} has no comparison with peers of this recipe", "Run `scaseg peers` first.")
    scored = ScoredSet(cells[OWN].recipe, cells[OWN].run, "validation")
    rows = own_rows(cells, work.path / "peers")
    weights = recipe.evaluation.clip_seen_weight, recipe.evaluation.clip_unseen_weight
    rows += clip_rows(rows, _mask_views(recipe, scored)[0], weights)
    found = [row for row in rows if row.name == name]
    if not found:
        raise ScasegError(f"there is no peer {name!r}", f"There are {', '.join(row.name for row in rows)}.")
    return found[0].title, replace(found[0].candidate, name="baseline")


def _key(recipe: Recipe, cells: Mapping[str, Cell]) -> str:
    config = recipe.evaluation.model_dump(mode="json")
    clip = {name: value for name, value in config.items() if name.startswith("clip_")}
    own = cells[OWN]
    made = {name: stage_key(cell.recipe, cell.run, "union") for name, cell in cells.items()}
    return hash_value({"cells": made, "evaluation": stage_key(own.recipe, own.run, "evaluation"), "clip": clip})


def _mask_views(recipe: Recipe, scored: ScoredSet) -> tuple[list[MaskView], list[str]]:
    """How CLIP can see the masks, and why it cannot otherwise."""
    views, notes = [], []
    for method in _METHODS:
        view = MaskView(method, recipe.evaluation.clip_fill, recipe.evaluation.clip_box)
        try:
            clip = scored.on_masks.clip
            if method == "pooled":
                clip.feature_map(torch.zeros(1, 3, clip.image_size, clip.image_size))
        except ScasegError as error:
            notes.append(f"Without CLIP on masks, {method}: {error.message}.")
        else:
            views.append(view)
    return views, notes


def _with_best_increment(rows: list[PeerRow], scores: Scores) -> tuple[list[PeerRow], Scores]:
    """Keep the best of the rows that the oracle chooses among."""
    tried = [row for row in rows if row.name.startswith(ORACLE_INCREMENT)]
    best = max(tried, key=lambda row: scores.summaries[row.name].harmonic)
    kept = [row for row in rows if row not in tried]
    row = replace(best, name=ORACLE_INCREMENT, title=f"{best.title} ({best.candidate.increment:g})")
    summaries = {one.name: scores.summaries[one.name] for one in kept} | {row.name: scores.summaries[best.name]}
    counts = {one.name: scores.counts[one.name] for one in kept} | {row.name: scores.counts[best.name]}
    return [*kept, row], Scores(summaries, counts)


@torch.no_grad()
def _milliseconds(scored: ScoredSet, candidate: Candidate, views: Sequence[MaskView]) -> dict[str, float]:
    """Milliseconds an image of the segmentor with its classifier (key ``""``), and of what each view adds.

    CPU time on a CPU, where other work on the machine does not enter it, and wall-clock time on a GPU.
    """
    clock = time.process_time if scored.segmentor.device.type == "cpu" else time.perf_counter
    records, spent = scored.images.images[:_TIMED], dict.fromkeys(["", *(view.method for view in views)], 0.0)
    num_seen = scored.classes.num_seen
    for batch in scored.batches(records, "milliseconds an image"):
        started = clock()
        encoded = scored.segmentor.encode([item.image_HW3 for item in batch])
        visual = torch.stack([one.visual_QD for one in encoded])
        probabilities_of(candidate, visual, num_seen)
        spent[""] += clock() - started
        for view in views:
            own, started = replace(candidate, clip=ClipUse(view, 0.5, 0.5)), clock()
            probabilities_of(own, visual, num_seen, scored.regions(batch, encoded))
            spent[view.method] += clock() - started
    return {name: 1000 * seconds / len(records) for name, seconds in spent.items()}


def _table(
    recipe: Recipe,
    scored: ScoredSet,
    rows: Sequence[PeerRow],
    scores: Scores,
    milliseconds: Mapping[str, float],
    base_seconds: float,
    notes: list[str],
) -> Table:
    quantity = scored.measure.quantities[0]
    bootstrap = Bootstrap(scored.measure, scores.counts)
    columns = [
        Column("name", "name", is_detail=True),
        Column("row", "row"),
        Column("image_tower", "image tower at test", "flag"),
        Column("unseen_names", "unseen names in training", "flag"),
        Column("milliseconds", "ms an image", "number"),
        Column("seconds", "training s", "number"),
        *(Column(group, f"{letter}{quantity.title}", "percent") for group, letter in LETTERS.items()),
        Column("difference", f"h{quantity.title} against SCA", "points"),
        Column("difference_low", "from", "points"),
        Column("difference_high", "to", "points"),
    ]
    values: list[dict[str, Any]] = []
    order = sorted(rows, key=lambda row: ("own", "clip", "oracle").index(row.group))
    for place, row in enumerate(order):
        summary = scores.summaries[row.name]
        use = row.candidate.clip
        value: dict[str, Any] = {
            "name": row.name,
            "row": row.title,
            "image_tower": use is not None,
            "unseen_names": row.unseen_names,
            "milliseconds": milliseconds[""] + (milliseconds[use.view.method] if use is not None else 0.0),
            "seconds": row.seconds,
            **{group: summary.groups[group][quantity.key] for group in LETTERS},
        }
        if row.name == OWN:
            value["_style"] = "bold"
        else:
            low, high = bootstrap.interval(row.name, "harmonic", less=OWN)
            value["difference"] = summary.harmonic - scores.summaries[OWN].harmonic
            value |= {"difference_low": low, "difference_high": high}
        if place + 1 < len(order) and order[place + 1].group != row.group:
            value["_section"] = True
        values.append(value)
    chosen_on = recipe.evaluation.choose_on.replace("_", " ")
    timed = min(_TIMED, len(scored.images.images))
    all_notes = [
        f"{len(scored.images.images)} validation images, seed {recipe.seed}; one base model ({base_seconds:.0f} s of "
        f"training), the same masks for all rows. Choices: evaluation.choose_on, {chosen_on}.",
        "Training s: after the base model, with the pass that collects queries and, for fine-tuned rows, the control's "
        f"fine-tuning. ms an image: CPU time on a CPU, else wall-clock, of network and classifiers on {timed} images.",
        "From, to: 95 % of paired draws of images (bootstrap). Another training seed is not part of this.",
        "Oracles read labels of unseen classes, of selection images or of the reported ones: they are no methods.",
        *notes,
    ]
    return Table(f"{recipe.name}: peers on one base model", columns, values, all_notes)
