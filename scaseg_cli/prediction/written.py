"""The files that `scaseg predict` writes: for each image a segment map and an overlay, and the JSON of all images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from scaseg_cli.files import write_bytes, write_json
from scaseg_cli.prediction.journal import Entry
from scaseg_cli.prediction.nothing_found import how_near
from scaseg_cli.prediction.output import MADE_BY
from scaseg_cli.prediction.results import (
    as_png,
    categories_of,
    coco_masks,
    draw_map,
    draw_overlay,
    segments_info,
    styles_of,
)
from scaseg_cli.prediction.sources import as_text
from scaseg_cli.results.console import say_plainly
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table
from scaseg_cli.tasks import Setting, task_of
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scaseg_cli.prediction.model import Model, Segments
    from scaseg_cli.prediction.output import OutputFolder
    from scaseg_cli.prediction.sources import Source

_ROWS = 30  # maximum number of images in the table; the JSON has all
_SAID = 10  # maximum number of images without a segment that are named
_COLUMNS = [Column("image", "image"), Column("segments", "segments", "count"), Column("found", "found")]


class Found(NamedTuple):
    """What the network found in an image, uint8 RGB [H, W, 3]; ``first``: it was the first one of its batch."""

    source: Source
    image_HW3: NDArray[np.uint8]
    segments: Segments
    first: bool


class Drawn(NamedTuple):
    """One image's results before they are written."""

    source: Source
    image: dict[str, Any]
    annotation: dict[str, Any]
    masks: list[dict[str, Any]]
    map_png: bytes
    overlay_png: bytes | None
    nothing: str | None
    first: bool


@dataclass
class Written:
    """The results of a call that are written so far.

    Attributes:
        model: the model.
        folder: where they are written.
        setting: the model's setting.
        order: image ids, in the order in which the images were named.
        overlays: whether each image gets an overlay.
        rle: whether all masks are written into one more JSON.
        entries: what the JSON files have of each image, by image id.
        nothing: of each image without a segment, how near it was.
    """

    model: Model
    folder: OutputFolder
    setting: Setting
    order: list[int]
    overlays: bool
    rle: bool
    entries: dict[int, Entry] = field(default_factory=dict)
    nothing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.semantic = task_of(self.model.recipe).labels == "semantic"
        self.styles = styles_of(self.model.vocabulary, self.semantic)

    def draw(self, found: Found) -> Drawn:
        """Create one image's files and its entries in the JSON, in memory."""
        source, image_HW3, segments, first = found
        height, width = image_HW3.shape[:2]
        info = segments_info(segments, self.model.vocabulary, self.semantic)
        annotation: dict[str, Any] = {
            "image_id": source.image_id,
            "file_name": self.folder.map_file(source).name,
            "segments_info": info,
        }
        nothing = None
        if segments.nearest is not None:
            nearest, threshold = segments.nearest, self.model.recipe.evaluation.object_threshold
            nothing = f"{source.path}: nothing found: {how_near(nearest, self.model.vocabulary, threshold)}"
            item = self.model.vocabulary.classes[nearest.class_index]
            annotation["nearest"] = {
                "category_id": item.category_id,
                "category": item.name,
                "score": nearest.probability,
            }
        image = {"id": source.image_id, "file_name": as_text(str(source.path)), "width": width, "height": height}
        image_map = draw_map(segments, [item["id"] for item in info], self.semantic)
        overlay = as_png(draw_overlay(image_HW3, segments, self.styles)) if self.overlays else None
        masks = coco_masks(segments, info, source.image_id) if self.rle else []
        return Drawn(source, image, annotation, masks, as_png(image_map), overlay, nothing, first)

    def add(self, drawn: Drawn) -> Entry:
        """Write one image's files, and keep its entries for the JSON."""
        write_bytes(self.folder.map_file(drawn.source), drawn.map_png)
        if drawn.overlay_png is not None:
            write_bytes(self.folder.overlay_file(drawn.source), drawn.overlay_png)
        if drawn.nothing is not None:
            self.nothing.append(drawn.nothing)
        entry = Entry(drawn.image, drawn.annotation, drawn.masks)
        self.keep(drawn.source, entry)
        return entry

    def keep(self, source: Source, entry: Entry) -> None:
        """Keep an image's entries, under the image id that it has in this call."""
        for item, key in ((entry.image, "id"), (entry.annotation, "image_id"), *((m, "image_id") for m in entry.masks)):
            item[key] = source.image_id
        self.entries[source.image_id] = entry

    def listed(self) -> list[Entry]:
        """The entries so far, in the order in which the images were named."""
        return [self.entries[image_id] for image_id in self.order if image_id in self.entries]

    def write_lists(self) -> None:
        """Write the JSON files."""
        if self.rle:
            write_bytes(
                self.folder.masks_file, msgspec.json.encode([m for entry in self.listed() for m in entry.masks])
            )
        write_json(self.folder.json_file, self.document())

    def say_nothing_found(self) -> None:
        """Say of the first images without a segment how near they were."""
        for text in self.nothing[:_SAID]:
            say_plainly(text)
        if len(self.nothing) > _SAID:
            say_plainly(
                f"and nothing in {len(self.nothing) - _SAID} more images: see `nearest` in {self.folder.json_file}"
            )

    def document(self) -> dict[str, Any]:
        """Return the content of the JSON, in COCO's panoptic format."""
        maps = "category ids, grey" if self.semantic else "COCO panoptic, R + 256 G + 65536 B"
        info = {"made_by": MADE_BY, "version": __version__, "recipe": self.model.recipe.name, "setting": self.setting}
        return {
            "info": {**info, "increment": self.model.candidate.increment, "maps": maps},
            "images": [entry.image for entry in self.listed()],
            "annotations": [entry.annotation for entry in self.listed()],
            "categories": categories_of(self.model.vocabulary),
        }

    def stage_report(self, num_broken: int) -> StageReport:
        """Return a report with a table of the first images, and counts."""
        rows = []
        entries = self.listed()
        for image, annotation, _ in entries[:_ROWS]:
            counts = Counter(item["category"] for item in annotation["segments_info"])
            found = ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.most_common())
            if "nearest" in annotation:
                found = f"nothing; nearest: {annotation['nearest']['category']}, {annotation['nearest']['score']:.2g}"
            rows.append({"image": image["file_name"], "segments": counts.total(), "found": found})
        more = len(entries) - len(rows)
        notes = [f"{more} more images: {self.folder.json_file}"] if more else []
        table = Table(f"{self.model.recipe.name}, {self.setting}: segments", _COLUMNS, rows, notes)
        segments = sum(len(entry.annotation["segments_info"]) for entry in entries)
        summary = {"setting": self.setting, "images": len(entries), "segments": segments, "broken": num_broken}
        wrote = [self.folder.path, self.folder.json_file, *([self.folder.masks_file] if self.rle else [])]
        return StageReport("predict", [table], wrote, None, summary)
