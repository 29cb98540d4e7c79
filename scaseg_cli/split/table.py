"""The table of the split: the contents of each list, with notes on what may spoil the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.data.label_maps import is_raw
from scaseg_cli.data.semantic import ignored_pixels
from scaseg_cli.results.table import Column, Table
from scaseg_cli.split.hidden_names import hidden_by_seen, note_of
from scaseg_cli.split.lists import PARTS, Part
from scaseg_cli.split.reading_notes import reading_notes
from scaseg_cli.tasks import Task, task_of

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.split.classes import ClassList
    from scaseg_cli.split.same_images import SamePairs
    from scaseg_cli.split.sources import Sets


def split_table(recipe: Recipe, sets: Sets, classes: ClassList, dropped: int, twins: SamePairs) -> Table:
    """Tabulate images, segments and what training leaves out, one row per list; `Task` defines a segment."""
    task = task_of(recipe)
    segments = {part: sets[part].segment_classes.counts() for part in PARTS}
    rows = [{"list": part, **_counts(sets[part], segments[part], classes)} for part in PARTS]
    rows[0]["dropped"] = dropped
    columns = [
        Column("list", "list", "text"),
        Column("images", "images", "count"),
        Column("with_unseen", "with unseen", "count"),
        Column("seen_segments", "seen segments", "count"),
        Column("unseen_segments", "unseen segments", "count"),
        Column("dropped", "dropped", "count"),
    ]
    if task.keeps_unseen:
        columns.append(Column("ignored", "ignored pixels", "percent"))
        rows[0]["ignored"] = ignored_share(sets["train"], classes)
    num_unseen = len(classes) - classes.num_seen
    title = f"{recipe.name}: {classes.num_seen} seen and {num_unseen} unseen classes"
    return Table(title, columns, rows, _notes(recipe, sets, segments, classes, twins))


def ignored_share(train: LabelledSet, classes: ClassList) -> float:
    """Fraction of the training images' pixels that belong to no class or to an unseen class."""
    ignored, total = ignored_pixels(train, classes.unseen_category_ids)
    return ignored / total


def _counts(labelled: LabelledSet, segments: Counter[int], classes: ClassList) -> dict[str, Any]:
    unseen = sum(segments[category_id] for category_id in classes.unseen_category_ids)
    return {
        "images": len(labelled.images),
        "with_unseen": int(labelled.segment_classes.images_with(classes.unseen_category_ids).sum()),
        "seen_segments": segments.total() - unseen,
        "unseen_segments": unseen,
    }


def _notes(
    recipe: Recipe, sets: Sets, segments: dict[Part, Counter[int]], classes: ClassList, twins: SamePairs
) -> list[str]:
    trained, reported = segments["train"], segments["validation"]
    unlearnt = [item.name for item in classes.classes if item.seen and not trained[item.category_id]]
    unreported = [item.name for item in classes.classes if not item.seen and not reported[item.category_id]]
    notes = _notes_on_columns(task_of(recipe)) + reading_notes(recipe, sets)
    if unlearnt:
        notes.append(f"Seen classes in no training image: {_some(unlearnt)}.")
    if unreported:
        notes.append(f"Unseen classes in no validation image: {_some(unreported)}.")
    notes += [_note_on_twins(parts, pairs) for parts, pairs in twins.items()]
    seen, unseen = classes.names[: classes.num_seen], classes.names[classes.num_seen :]
    if hidden := hidden_by_seen(seen, unseen, recipe.data.names):
        notes.append(note_of(hidden))
    raw = [part for part in PARTS if sets[part].map_values is not None and is_raw(sets[part])]
    if raw:
        notes.append(f"Label maps of COCO-Stuff's own ids, read through a table: {', '.join(raw)}.")
    return notes


def _note_on_twins(parts: tuple[Part, Part], pairs: list[tuple[Path, Path]]) -> str:
    one, other = parts
    copies = [f"{second.name} is {first.name}" for first, second in pairs if first != second]
    if one == "train":
        note = f"Images of {other} that are trained on too: {len(pairs)}; seen classes will score too high."
    else:
        note = f"Images of {other} that are in {one} too: {len(pairs)}; choices are made on what is reported."
    return note + (f" Same bytes: {_some(copies, 3)}." if copies else "")


def _notes_on_columns(task: Task) -> list[str]:
    if not task.keeps_unseen:
        return ["Dropped: training images that hold a segment of an unseen class."]
    return [
        "A segment is all that an image holds of one class.",
        "Dropped: training images without a pixel of a seen class.",
        "Ignored pixels: those of no class and of unseen classes, in the training images.",
    ]


def _some(names: list[str], shown: int = 8) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
