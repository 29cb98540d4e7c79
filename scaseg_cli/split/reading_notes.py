"""Notes on what reading the data showed: what takes no part, and what was taken for no class."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from scaseg_cli.split.lists import own_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.split.header_check import Headers
    from scaseg_cli.split.label_sample import LabelCheck
    from scaseg_cli.split.lists import Part
    from scaseg_cli.split.sources import Sets

_SHOWN = 8


def reading_notes(recipe: Recipe, sets: Sets) -> list[str]:
    """One note for each kind of thing that reading the data showed, with counts over what was read."""
    notes = [text for part in own_parts(recipe) for text in _left_out(part, sets[part])]
    if values := _without_class(sets["train"]):
        notes.append(f"Values of no class in the training label maps: {values}.")
    if classes := sets["train"].findings.ignored_classes:
        notes.append(
            f"Classes whose value is in data.ignored, and which are therefore no classes: {_some(list(classes))}."
        )
    if sets["train"].map_values is None:
        notes += _on_things(sets["train"])
    return notes


def _on_things(train: LabelledSet) -> list[str]:
    """Whether the data says which classes are things, and what speaks against it."""
    if not any(category.isthing for category in train.categories):
        said = "isthing is 0 or missing for all classes, so none is a thing."
        return [f"{said} data.things names the things, whose segments are counted one by one."]
    stuff = [category for category in train.categories if not category.isthing]
    several = train.segment_classes.images_with_several(category.id for category in stuff)
    if not several:
        return []
    stuff = [category for category in stuff if several[category.id]]
    stuff.sort(key=lambda category: -several[category.id])
    shown = _some([f"{category.name} ({several[category.id]:,} images)" for category in stuff])
    return [f"Stuff with several segments in one training image: {shown}. data.things names the things."]


def left_out_names(recipe: Recipe, sets: Sets, checks: Mapping[Part, LabelCheck]) -> dict[str, dict[str, list[str]]]:
    """The names of the files that take no part, by list and reason; only where there are any."""
    names = {
        part: {
            "images without a label": list(sets[part].findings.unlabelled),
            "labels without an image": list(sets[part].findings.imageless),
            "listed names without a file": list(sets[part].findings.unknown),
        }
        for part in own_parts(recipe)
    }
    for part, check in checks.items():
        names.setdefault(part, {})["labels with listed segments without a pixel"] = list(check.empty)
        names[part]["labels with pixels of no listed segment"] = list(check.unnamed)
    return {
        part: {why: files for why, files in reasons.items() if files}
        for part, reasons in names.items()
        if any(reasons.values())
    }


_SHOWN_AS = {
    "16 bits": "16 bits, scaled to 8",
    "transparency": "transparency, composited on white",
    "palette": "a palette, read as its colours",
}


def header_notes(recipe: Recipe, headers: Mapping[Part, Headers]) -> list[str]:
    """How many images of each list are unusual, and what is done with them."""
    shown: dict[str, str] = dict(_SHOWN_AS)
    followed = recipe.data.exif == "turn"
    shown["EXIF orientation"] = (
        f"an EXIF orientation, {'followed' if followed else 'ignored'} (data.exif: {recipe.data.exif})"
    )
    return [
        f"Images of {part} with {shown[kind]}: {count:,}."
        for part, found in headers.items()
        for kind, count in found.kinds.items()
    ]


def check_notes(checks: Mapping[Part, LabelCheck]) -> list[str]:
    """How many labels differ from their annotations, of those that were read."""
    return [note for part, check in checks.items() for note in check.tally.notes(part)]


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
    if unknown := labelled.findings.unknown:
        notes.append(f"Names in data.{part}.list without a file, left out: {len(unknown):,}: {_some(list(unknown))}.")
    return notes


def _without_class(train: LabelledSet) -> str:
    """The label map values, or colours, that are no class, with their number of pixels; the most frequent first."""
    pixels: Counter[int] = Counter()
    for record in train.images if train.findings.without_class else ():
        pixels.update(train.findings.without_class.get(record.image_id, {}))
    table = train.colours
    named = {value: str(value) for value in pixels}
    if table is not None:
        named = {value: f"{table.names[value]} {table.colours[value]}" for value in pixels}
    return _some([f"{named[value]} ({count:,} pixels)" for value, count in pixels.most_common()])


def _some(texts: list[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")
