"""`scaseg visualize`: a grid of validation images, labels and predictions, like a figure of qualitative results."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.drawing.class_styles import class_styles
from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import Candidate
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.external.peer import Peer, check_peer, open_peer, read_peer
from scaseg_cli.prediction.model import choose_setting, needs_of_setting
from scaseg_cli.results.console import say
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column as TableColumn
from scaseg_cli.results.table import Table, json_value
from scaseg_cli.split.lists import read_image_ids
from scaseg_cli.stages import require, stage_key
from scaseg_cli.tasks import task_of
from scaseg_cli.visualization.choice import Choice, candidates, in_words, picked
from scaseg_cli.visualization.columns import Column, columns_of
from scaseg_cli.visualization.grid import SUFFIXES, GridRow, Style, draw_row, save
from scaseg_cli.visualization.scored_images import ScoredImage, add_prediction, score_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.data.records import ImageRecord
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.split.classes import ClassList


def visualize(
    recipe: Recipe,
    run: RunDir,
    choice: Choice,
    outputs: Sequence[Path] = (),
    baseline: Path | Candidate | None = None,
    name: str | None = None,
    setting: str | None = None,
    cell: int = 512,
) -> StageReport:
    """Draw images, labels and predictions side by side.

    Args:
        recipe: the run's recipe.
        run: the run folder with its finished stages.
        choice: the user's choice of images.
        outputs: PNG and PDF files; if empty, both are written into the run folder.
        baseline: folder of a peer's predictions, or a classifier on our masks; None means our own base model.
        name: title of the baseline.
        setting: ``inductive`` or ``transductive``; None means transductive if the run has a fine-tuned projector.
        cell: longer side of a cell, in pixels.

    Raises:
        ScasegError: a stage is missing or was made by another recipe, an image is not a validation image, the peer's
            predictions are missing or broken, or a file cannot be written.
    """
    paths = _checked(outputs or [run.visualization_file(choice.stem, suffix) for suffix in SUFFIXES])
    if not outputs:
        run.check_links("visualization")
    chosen = choose_setting(run, setting)
    require(recipe, run, *needs_of_setting(chosen))
    scored = ScoredSet(recipe, run, "validation")
    images, classes, measure = scored.images, scored.classes, scored.measure.quantities[0]
    records = candidates(choice, images, classes, read_image_ids(run)["selection"])
    peer = open_peer(baseline, images, classes) if isinstance(baseline, Path) else None
    if peer is not None:
        check_peer(peer, records)
    columns = columns_of(recipe, run, chosen, baseline if isinstance(baseline, Candidate) else peer, name)
    if len(columns) == 1:
        say("no baseline: with evaluation.inductive_increment=0 it equals our model")
    shown = _shown(scored, choice, records, columns, peer)
    style = Style(class_styles(images, classes), cell, choice.only_unseen, measure.title)
    embeddings = load_embeddings(recipe, run)
    rows = [draw_row(scored, item, columns, style, embeddings) for item in shown]
    title = f"{recipe.name}: {in_words(choice, [item.record for item in shown], classes, measure.title)}"
    notes = _notes(recipe, measure.title, choice.only_unseen)
    save(paths, title, notes, columns, rows, style, stage_key(recipe, run, "evaluation"))
    summary = {
        "setting": chosen,
        "measure": measure.key,
        "only": "unseen" if choice.only_unseen else None,
        "columns": {column.key: {"title": column.title, "remark": column.remark} for column in columns},
        "images": [_image(item, row) for item, row in zip(shown, rows, strict=True)],
        "classes": _classes(classes, style, rows),
    }
    return StageReport("visualize", [_table(title, notes[-1:], columns, shown, measure.title)], paths, None, summary)


def _shown(
    scored: ScoredSet, choice: Choice, records: Sequence[ImageRecord], columns: Sequence[Column], peer: Peer | None
) -> list[ScoredImage]:
    """The images that are shown, with every column's prediction."""
    shown = picked(choice, score_images(scored, records, columns, choice.only_unseen))
    if not shown:
        raise ScasegError("no validation image has a score for the ranking", "Name images with --ids.")
    if peer is not None:
        found = read_peer(peer, [item.record for item in shown])
        for item, prediction in zip(shown, found, strict=True):
            add_prediction(scored, item, "baseline", prediction, choice.only_unseen)
    return shown


def _checked(paths: Sequence[Path]) -> list[Path]:
    """The paths without duplicates, after a check that each looks writable."""
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise ScasegError(
                f"--output {path} ends with neither .png nor .pdf", "Name a file that ends with .png or .pdf."
            )
        if path.is_dir():
            raise ScasegError(f"--output {path} is a folder", "Name a file that ends with .png or .pdf.")
        folder = next(folder for folder in path.absolute().parents if folder.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ScasegError(f"--output {path}: {folder} is not a writable folder", "Choose another file.")
    return list(dict.fromkeys(paths))


def _notes(recipe: Recipe, measure: str, only_unseen: bool) -> list[str]:
    what = "label used in training named" if task_of(recipe).keeps_unseen else "training image held"
    group = "unseen classes" if only_unseen else "classes"
    return [
        f"No {what} an unseen class.",
        f"Below each prediction is its {measure} in this image, in per cent: the mean over the {group} that label or "
        "prediction holds. Beside it are the unseen objects that were taken for another class, or missed.",
    ]


def _table(
    title: str, notes: Sequence[str], columns: Sequence[Column], shown: Sequence[ScoredImage], measure: str
) -> Table:
    heads = [TableColumn("image", "Image"), TableColumn("file", "File")]
    heads += [TableColumn(column.key, f"{column.title}, {measure}", "percent") for column in columns]
    rows = [{"image": item.record.image_id, "file": item.record.file_name, **_scores(item, columns)} for item in shown]
    return Table(title, heads, rows, list(notes))


def _scores(item: ScoredImage, columns: Sequence[Column]) -> dict[str, float]:
    return {column.key: item.scores[column.key] for column in columns}


def _image(item: ScoredImage, row: GridRow) -> dict[str, Any]:
    record = item.record
    return {
        "image_id": record.image_id,
        "file_name": record.file_name,
        "scores": json_value(item.scores),
        "segments": row.segments,
        "taken_for": row.taken_for,
    }


def _classes(classes: ClassList, style: Style, rows: Sequence[GridRow]) -> list[dict[str, Any]]:
    """The legend, in its order."""
    names = set().union(*(row.names for row in rows))
    found = [
        {"id": item.category_id, "name": item.name, "seen": item.seen, "color": list(class_style.colour)}
        for item, class_style in zip(classes.classes, style.styles, strict=True)
        if item.name in names
    ]
    return sorted(found, key=lambda item: item["seen"])
