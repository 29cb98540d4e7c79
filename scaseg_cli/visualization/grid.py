"""The cells of a grid, and the files that it is saved to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.data.images import read_image
from scaseg_cli.drawing.picture_key import KEY, png_key
from scaseg_cli.drawing.regions import CELL, Region, draw_image, draw_regions
from scaseg_cli.drawing.sheet import Sheet, SheetRow, draw_sheet
from scaseg_cli.evaluation.pictures.regions import (
    TakenFor,
    labelled_regions,
    nearest_in_words,
    predicted_regions,
    prepared_label,
    taken_for,
)
from scaseg_cli.files import replaced
from scaseg_cli.results.table import shown as as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from scaseg_cli.data.records import ImageRecord
    from scaseg_cli.drawing.class_styles import ClassStyle
    from scaseg_cli.embeddings.store import ClassEmbeddings
    from scaseg_cli.evaluation.scored_set import ScoredSet
    from scaseg_cli.visualization.columns import Column
    from scaseg_cli.visualization.scored_images import ScoredImage

SUFFIXES = (".png", ".pdf")
ROWS_A_PAGE = 8  # maximum number of rows on a page of a PDF
_PAGE_INCHES = 7.5  # width of a PDF page
_NAMES = 0.8  # size of names on segments, relative to other text


@dataclass(frozen=True)
class Style:
    """How cells are drawn.

    Attributes:
        styles: style of each class, by class id.
        cell: longer side of a cell, in pixels.
        only_unseen: leaves out segments of seen classes.
        measure: title of the scores' measure.
    """

    styles: Sequence[ClassStyle]
    cell: int
    only_unseen: bool
    measure: str

    @property
    def scale(self) -> int:
        """The factor by which text and lines are enlarged."""
        return max(1, round(self.cell / CELL))


@dataclass(frozen=True)
class GridRow:
    """The row of one image.

    Attributes:
        row: its row of the sheet.
        segments: each cell's segments, by the cell's key.
        taken_for: by the key of a column of predictions: labelled unseen segments that it takes for something else.
    """

    row: SheetRow
    segments: dict[str, list[dict[str, Any]]]
    taken_for: dict[str, list[TakenFor]]

    @property
    def names(self) -> set[str]:
        """The classes that the row shows."""
        return {segment["category"] for segments in self.segments.values() for segment in segments}


def draw_row(
    scored: ScoredSet,
    scored_image: ScoredImage,
    columns: Sequence[Column],
    style: Style,
    embeddings: ClassEmbeddings,
) -> GridRow:
    """Draw the cells of one image.

    Raises:
        ScasegError: the image or its label cannot be read.
    """
    images, classes, record = scored.images, scored.classes, scored_image.record
    image_HW3 = read_image(images.image_path(record), record, images.turned)
    label = prepared_label(images, record, classes)
    regions = {"label": labelled_regions(images, record, classes, style.styles)}
    captions = [_caption(record), nearest_in_words(record, classes, embeddings)]
    taken: dict[str, list[TakenFor]] = {}
    for column in columns:
        found = scored_image.predictions[column.key]
        regions[column.key] = predicted_regions(found, label, style.styles)
        taken[column.key] = taken_for(regions["label"], found, style.styles)
        score = f"{style.measure} {as_text(scored_image.scores[column.key], 'percent')}"
        captions.append("; ".join([score, *_in_words(taken[column.key])]))
    if style.only_unseen:
        regions = {key: [region for region in found if region.style.unseen] for key, found in regions.items()}
    cells = [draw_image(image_HW3, style.cell)]
    cells += [
        draw_regions(image_HW3, found, style.cell, _NAMES * style.scale, style.only_unseen, legend=True)
        for found in regions.values()
    ]
    segments = {key: [_segment(region, key != "label") for region in found] for key, found in regions.items()}
    return GridRow(SheetRow(captions, cells), segments, taken)


def _in_words(taken: Sequence[TakenFor]) -> list[str]:
    """The unseen objects that a prediction takes for something else, such as `red ring as pink ring`."""
    other = ["missed" if item["taken_for"] is None else f"as {item['taken_for']}" for item in taken]
    said = [f"{item['category']} {text}" for item, text in zip(taken, other, strict=True)]
    return list(dict.fromkeys(said))


def _caption(record: ImageRecord) -> str:
    """The file name, with the image id unless the name is the id."""
    stem = Path(record.file_name).stem
    plain = stem.isascii() and stem.isdigit() and int(stem) == record.image_id
    return record.file_name if plain else f"{record.file_name}, image {record.image_id}"


def _segment(region: Region, predicted: bool) -> dict[str, Any]:
    found = {"category": region.style.name, "seen": not region.style.unseen, "area": int(region.mask_HW.sum())}
    return {**found, "wrong": region.wrong} if predicted else found


def sheet_of(
    title: str, notes: Sequence[str], columns: Sequence[Column], rows: Sequence[GridRow], style: Style
) -> Sheet:
    """Create the sheet of ``rows``, with a legend of the classes that they show."""
    names = set().union(*(row.names for row in rows))
    return Sheet(
        title,
        notes,
        [("image", ""), ("label", "the truth"), *((column.title, column.remark) for column in columns)],
        [row.row for row in rows],
        [style for style in style.styles if style.name in names],
        style.cell,
        style.scale,
        style.only_unseen,
    )


def save(
    paths: Sequence[Path],
    title: str,
    notes: Sequence[str],
    columns: Sequence[Column],
    rows: Sequence[GridRow],
    style: Style,
    made_by: str,
) -> None:
    """Write the grid to each of ``paths``: as one PNG, or as a PDF with as many pages as needed.

    ``made_by``, the key of the results that the grid shows, goes into the file (`drawing.picture_key`).

    Raises:
        ScasegError: a file cannot be written.
    """
    for path in paths:
        if path.suffix.lower() == ".png":
            with replaced(path) as temporary:
                drawn = draw_sheet(sheet_of(title, notes, columns, rows, style))
                drawn.save(temporary, format="PNG", pnginfo=png_key(made_by))
        else:
            parts = pages(rows)
            sheets = [sheet_of(title, notes, columns, part, style) for part in parts]
            if len(parts) > 1:
                sheets = [replace(s, title=f"{title}, page {i} of {len(parts)}") for i, s in enumerate(sheets, start=1)]
            with replaced(path) as temporary:
                _save_pdf([draw_sheet(sheet) for sheet in sheets], temporary, title, made_by)


def pages(rows: Sequence[GridRow]) -> list[Sequence[GridRow]]:
    """Divide the rows among the pages of a PDF as evenly as possible."""
    number = math.ceil(len(rows) / ROWS_A_PAGE)
    ends = [round(len(rows) * page / number) for page in range(number + 1)]
    return [rows[start:end] for start, end in pairwise(ends)]


def _save_pdf(drawn: Sequence[Image.Image], path: Path, title: str, made_by: str) -> None:
    """Save without dates, so that equal grids give equal files, and without chroma subsampling, for sharp text."""
    drawn[0].save(
        path, format="PDF", save_all=True, append_images=drawn[1:], resolution=drawn[0].width / _PAGE_INCHES,
        title=title, keywords=f"{KEY} {made_by}", creationDate=None, modDate=None, quality=92, subsampling=0,
    )  # fmt: skip
