"""Notes on what reading the data showed: what takes no part, and what was taken for no class."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from scaseg_cli.split.lists import own_parts

if TYPE_CHECKING:
    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.split.lists import Part
    from scaseg_cli.split.sources import Sets

_SHOWN = 8


def reading_notes(recipe: Recipe, sets: Sets) -> list[str]:
    """One note for each kind of thing that reading the data showed, with counts over what was read."""
    notes = [text for part in own_parts(recipe) for text in _left_out(part, sets[part])]
    if values := _without_class(sets["train"]):
        notes.append(f"Values of no class in the training label maps: {values}.")
    return notes


def _left_out(part: Part, labelled: LabelledSet) -> list[str]:
    unlabelled, imageless = labelled.findings.unlabelled, labelled.findings.imageless
    notes = []
    if unlabelled:
        hint = f" data.{part}.list names those to use." if labelled.map_values is not None else ""
        read = labelled.findings.num_labelled + len(unlabelled)
        notes.append(f"Images of {part} without a label, left out: {len(unlabelled):,} of {read:,} read.{hint}")
    if imageless:
        read = labelled.findings.num_labelled + len(imageless)
        notes.append(f"Labels of {part} without an image, left out: {len(imageless):,} of {read:,} read.")
    return notes


def _without_class(train: LabelledSet) -> str:
    """The label map values, or colours, that are no class, with their number of pixels; the most frequent first."""
    pixels: Counter[int] = Counter()
    for record in train.images:
        pixels.update(train.findings.without_class.get(record.image_id, {}))
    table = train.colours
    named = {value: str(value) for value in pixels}
    if table is not None:
        named = {value: f"{table.names[value]} {table.colours[value]}" for value in pixels}
    shown = [f"{named[value]} ({count:,} pixels)" for value, count in pixels.most_common(_SHOWN)]
    return ", ".join(shown) + (f" and {len(pixels) - _SHOWN} more" if len(pixels) > _SHOWN else "")
