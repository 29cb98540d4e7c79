"""The result table and the table by class, for any measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaseg_cli.measures.measure import LETTERS, TITLES, Measure
from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaseg_cli.measures.bootstrap import Bootstrap
    from scaseg_cli.measures.summary import Summary

MAIN = ("inductive", "transductive")  # the rows that stand for the two settings
CHOSEN = "best increment"
# What the best snapshot and increments were chosen on, by the recipe's evaluation.choose_on.
CHOSEN_ON = {
    "unseen_labels": "Best: chosen on the selection images, none of which is reported.",
    "seen_folds": "Best: chosen on folds of the seen classes; no unseen label was read before these figures.",
    "nothing": "Nothing was chosen: the last snapshot, and the published increments; no unseen label was read before "
    "these figures.",
}
CLIP_ALONE, CLIP_MAIN = "clip", "clip-transductive"  # rows in which CLIP's image tower sees the masks


@dataclass(frozen=True)
class ResultRow:
    """One line of the result table before it is scored.

    Attributes:
        name: its key in the JSON file.
        setting: inductive, transductive or control.
        model: description of the model.
        increment: added to the logits of unseen classes.
        chosen_on: what its snapshot or increment was chosen on, as ``evaluation.choose_on``; None: neither was.
    """

    name: str
    setting: str
    model: str
    increment: float
    chosen_on: str | None = field(default=None, kw_only=True)

    @property
    def image_tower(self) -> bool:
        """Whether CLIP's image tower runs at test."""
        return False


def columns_of(measure: Measure[Any]) -> list[Column]:
    """Make the columns: the main measure for seen, unseen and harmonic mean, then the other measures as details."""
    return [
        Column("setting", "setting"),
        Column("model", "model"),
        Column("increment", "increment", "number"),
        *(
            Column(f"{letter}{quantity.key}", f"{letter}{quantity.title}", "percent", is_detail=place > 0)
            for place, quantity in enumerate(measure.quantities)
            for letter in LETTERS.values()
        ),
        Column("chosen_on", "chosen on", is_detail=True),
    ]


def result_table(
    name: str, measure: Measure[Any], num_images: int, rows: Sequence[ResultRow], summaries: Mapping[str, Summary]
) -> Table:
    """Make the result table of a run.

    Args:
        name: the recipe's name.
        measure: the task's measure.
        num_images: number of validation images.
        rows: the rows in the order of the table.
        summaries: the results by row name.
    """
    values: list[dict[str, Any]] = []
    with_tower = any(row.image_tower for row in rows)
    for place, row in enumerate(rows):
        groups = summaries[row.name].groups
        cells = {
            f"{letter}{quantity.key}": groups[group][quantity.key]
            for group, letter in LETTERS.items()
            for quantity in measure.quantities
        }
        style = {"_style": "bold"} if row.name in MAIN else {}
        ends = place + 1 < len(rows) and _section_of(rows[place + 1]) != _section_of(row)
        value = {"setting": row.setting, "model": row.model, "increment": row.increment, **cells, **style}
        value["chosen_on"] = row.chosen_on
        if with_tower:
            value["image_tower"] = "yes" if row.image_tower else "no"
        values.append({**value, "_section": True} if ends else value)
    notes = [
        f"{num_images} validation images. s: seen, u: unseen, h: harmonic mean of both. Increment: added to the unseen "
        f"logits. {CHOSEN_ON[next((row.chosen_on for row in rows if row.chosen_on), 'unseen_labels')]}",
        "Transductive: fine-tuned with generated unseen embeddings. No generator: fine-tuned alike without them.",
    ]
    columns = columns_of(measure)
    if with_tower:
        columns.insert(3, Column("image_tower", "image tower at test"))
        notes.append("Image tower at test: CLIP's image tower runs on the masks of each image that is segmented.")
    return Table(f"{name}: {measure.title}", columns, values, notes)


def _section_of(row: ResultRow) -> str:
    """What the lines of a section of the table have in common."""
    return "image tower" if row.image_tower else row.setting


def advice(rows: Sequence[ResultRow], summaries: Mapping[str, Summary], increments: Sequence[float]) -> list[str]:
    """Say where the recipe's increments do not suit the model.

    Args:
        rows: the rows of the result table.
        summaries: the results by row name.
        increments: the increments among which the best was chosen.
    """
    found = []
    by_name = {row.name: row for row in rows}
    inductive = by_name.get("inductive")
    finding = [row for row in rows if row.setting == "control" and summaries[row.name].unseen > 0]
    if inductive is not None and summaries["inductive"].unseen == 0 and finding:
        other = finding[0]
        found.append(
            f"At the increment {inductive.increment:+.2f} no unseen class was found, and at {other.increment:+.2f} "
            f"({other.model}) some were: the model is too sure of seen classes for evaluation.inductive_increment."
        )
    chosen = [row for row in rows if row.name.endswith("best-increment") and row.chosen_on != "nothing"]
    at_end = [row for row in chosen if row.increment == max(increments) and len(increments) > 1]
    if at_end:
        models = " and ".join(row.model for row in at_end)
        found.append(
            f"The largest of evaluation.increments, {max(increments):+.2f}, was chosen for {models}: larger ones may "
            "be better."
        )
    return found


def interval_table(
    measure: Measure[Any], rows: Sequence[ResultRow], summaries: Mapping[str, Summary], bootstrap: Bootstrap
) -> Table:
    """Make the table of 95 % intervals over images, and of differences from the base model at its best increment.

    Args:
        measure: the task's measure.
        rows: the rows of the result table.
        summaries: the results by row name.
        bootstrap: the draws of images, with all rows.
    """
    title = f"h{measure.quantities[0].title}"
    columns = [
        Column("setting", "setting"),
        Column("model", "model"),
        Column("increment", "increment", "number"),
        *(
            Column(f"{group}{end}", f"{letter}{measure.quantities[0].title}{shown}", "percent", is_detail=letter != "h")
            for group, letter in LETTERS.items()
            for end, shown in (("", ""), ("_low", " from"), ("_high", " to"))
        ),
    ]
    reference = "base-best-increment"
    compares = any(row.name == reference for row in rows)
    if compares:
        columns += [Column("difference", f"{title} difference", "percent")]
        columns += [Column("difference_low", "from", "percent"), Column("difference_high", "to", "percent")]
    values: list[dict[str, Any]] = []
    for row in rows:
        cells: dict[str, Any] = {"setting": row.setting, "model": row.model, "increment": row.increment}
        for group in LETTERS:
            found = bootstrap.interval(row.name, group)
            value = summaries[row.name].groups[group][measure.quantities[0].key]
            cells |= {group: value, f"{group}_low": found.low, f"{group}_high": found.high}
        if compares and row.name != reference:
            low, high = bootstrap.interval(row.name, "harmonic", less=reference)
            difference = summaries[row.name].harmonic - summaries[reference].harmonic
            cells |= {"difference": difference, "difference_low": low, "difference_high": high}
        values.append(cells | ({"_style": "bold"} if row.name in MAIN else {}))
    notes = ["From, to: 95 % of draws of as many images with replacement. Another training seed is not part of this."]
    if compares:
        notes.append(f"Difference: from {CHOSEN} of the base model, on the same draws.")
    return Table("Intervals over the validation images", columns, values, notes)


def neighbour_table(before: Summary, after: Summary, names: Sequence[str], nearest: Sequence[tuple[int, int]]) -> Table:
    """Make the table of what unseen classes gained, and what the seen classes nearest to them lost.

    A harmonic mean hides a seen class that falls to 0 while its unseen look-alike rises: it is one of many.

    Args:
        before: the results of the base model.
        after: those of the main row.
        names: the class names.
        nearest: pairs of an unseen class id and the id of the seen class with the nearest vector.
    """
    values = [summary.per_class[summary.main] for summary in (before, after)]
    rows = [
        {
            "unseen": names[unseen],
            "unseen_before": float(values[0][unseen]),
            "unseen_after": float(values[1][unseen]),
            "seen": names[seen],
            "seen_before": float(values[0][seen]),
            "seen_after": float(values[1][seen]),
        }
        for unseen, seen in nearest
    ]
    notes = ["Nearest by the class names' vectors. Base: without an increment. After: the main row of the table above."]
    return Table("Unseen classes and their nearest seen classes", neighbour_columns(TITLES[before.main]), rows, notes)


def neighbour_columns(title: str) -> list[Column]:
    """The columns of that table; ``title`` is the main measure's."""
    return [
        Column("unseen", "unseen class"),
        Column("unseen_before", f"{title}, base", "percent"),
        Column("unseen_after", f"{title}, after", "percent"),
        Column("seen", "nearest seen class"),
        Column("seen_before", f"{title}, base", "percent"),
        Column("seen_after", f"{title}, after", "percent"),
    ]


def class_table(title: str, measure: Measure[Any], summary: Summary, names: Sequence[str]) -> Table:
    """Make the table by class of one row."""
    return Table(title, list(measure.class_columns), summary.rows(names), [measure.class_note])
