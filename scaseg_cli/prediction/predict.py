"""`scaseg predict`: from images to segment maps, overlays and one JSON in COCO's panoptic format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaseg_cli.data.images import read_image
from scaseg_cli.data.prefetch import num_cores, prefetched
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_bytes, write_json
from scaseg_cli.prediction.model import (
    Model,
    Segments,
    check_threshold,
    choose_setting,
    load_predictor,
    needs_of_setting,
)
from scaseg_cli.prediction.output import MADE_BY, OutputFolder
from scaseg_cli.prediction.results import as_png, categories_of, draw_map, draw_overlay, segments_info, styles_of
from scaseg_cli.prediction.sources import Source, as_text
from scaseg_cli.prediction.vocabulary import vocabulary_of
from scaseg_cli.results.console import meter, say, say_plainly
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table
from scaseg_cli.stages import require
from scaseg_cli.tasks import Setting, task_of
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_ROWS = 30  # maximum number of images in the table; the JSON has all
_NAMED = 50  # maximum number of unreadable images named in the error; more are counted
_READERS = 2  # threads that read images ahead of the network
_DRAWERS = 4  # maximum number of threads that draw the results
_COLUMNS = [Column("image", "image"), Column("segments", "segments", "count"), Column("found", "found")]
InputImage = tuple[Source, NDArray[np.uint8]]


@dataclass(frozen=True)
class PredictOutcome:
    """The outcome of `predict`.

    Attributes:
        report: table of the segments found.
        document: content of the JSON that was written.
        broken: error that names the images that could not be read; None if all could.
    """

    report: StageReport
    document: dict[str, Any]
    broken: ScasegError | None


def predict(
    recipe: Recipe,
    run: RunDir,
    sources: Sequence[Source],
    output: Path,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    setting: str | None = None,
    batch_size: int | None = None,
    object_threshold: float | None = None,
) -> PredictOutcome:
    """Segment images, and write a map and an overlay for each and one JSON for all.

    Args:
        recipe: the run's recipe.
        run: the run folder with its finished stages.
        sources: the images.
        output: folder for the results.
        names: names of things and of stuff; None means the run's classes.
        setting: ``inductive`` or ``transductive``; None means transductive if the run has a fine-tuned projector.
        batch_size: maximum number of images of one size in a batch; None means the evaluation's batch size.
        object_threshold: minimum class probability of a query that becomes a segment; None means the evaluation's.

    Raises:
        ScasegError: a stage is missing or was made by another recipe, names are wrong, or the folder cannot be used.
            An unreadable image does not raise: see `PredictOutcome`.
    """
    if object_threshold is not None:
        check_threshold(recipe, object_threshold, "--object-threshold")
    chosen = choose_setting(run, setting)
    require(recipe, run, *needs_of_setting(chosen))
    vocabulary_of(run, names)  # reports wrong names before the network is loaded
    model = load_predictor(recipe, run, chosen).over(names)
    if object_threshold is not None:
        model = model.with_threshold(object_threshold)
    vocabulary = model.vocabulary
    unseen = len(vocabulary.classes) - vocabulary.num_seen
    say(f"{chosen}: images {len(sources)}, classes {len(vocabulary.classes)}, {unseen} of them unseen")
    written = _Written(model, OutputFolder(output), chosen)
    written.folder.prepare(sources, written.document())
    broken: list[str] = []
    try:
        with meter("predicting", len(sources)) as shown:

            def refuse(error: ScasegError) -> None:
                broken.append(error.message)
                say_plainly(f"skipped: {error.message}")
                shown.advance()

            images = _readable(sources, refuse)
            found = model.segment_all(images, batch_size or recipe.evaluation.batch_size)
            # Drawing is slower than a GPU. The queue is short, since each entry holds an image.
            for drawn in prefetched(written.draw, found, min(_DRAWERS, num_cores()), depth=1):
                written.add(drawn)
                shown.advance()
    finally:  # an interrupted call also lists what it wrote
        write_json(written.folder.json_file, written.document())
    return PredictOutcome(written.stage_report(len(broken)), written.document(), _error_of(broken, len(sources)))


def _readable(sources: Sequence[Source], refuse: Callable[[ScasegError], None]) -> Iterator[InputImage]:
    """The images that can be read; ``refuse`` gets the error of each other one."""

    def read(source: Source) -> InputImage | ScasegError:
        try:
            return source, read_image(source.path, turned=True)
        except ScasegError as error:
            return error

    for found in prefetched(read, sources, _READERS):
        if isinstance(found, ScasegError):
            refuse(found)
        else:
            yield found


def _error_of(broken: list[str], num_images: int) -> ScasegError | None:
    if not broken:
        return None
    lines = [f"  {text}" for text in broken[:_NAMED]]
    if len(broken) > _NAMED:
        lines.append(f"  and {len(broken) - _NAMED} more")
    others = "No image was predicted." if len(broken) == num_images else "All others were predicted."
    return ScasegError(f"{len(broken)} of {num_images} images cannot be read:\n" + "\n".join(lines), others)


class _Drawn(NamedTuple):
    """One image's results before they are written."""

    source: Source
    image: dict[str, Any]
    segments_info: list[dict[str, Any]]
    map_png: bytes
    overlay_png: bytes


@dataclass
class _Written:
    """The results written so far."""

    model: Model
    folder: OutputFolder
    setting: Setting
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.semantic = task_of(self.model.recipe).labels == "semantic"
        self.styles = styles_of(self.model.vocabulary, self.semantic)

    def draw(self, found: tuple[Source, NDArray[np.uint8], Segments]) -> _Drawn:
        """Create one image's files and its entries in the JSON, in memory."""
        source, image_HW3, segments = found
        height, width = image_HW3.shape[:2]
        info = segments_info(segments, self.model.vocabulary, self.semantic)
        image_map = draw_map(segments, [item["id"] for item in info], self.semantic)
        overlay = draw_overlay(image_HW3, segments, self.styles)
        image = {"id": source.image_id, "file_name": as_text(str(source.path)), "width": width, "height": height}
        return _Drawn(source, image, info, as_png(image_map), as_png(overlay))

    def add(self, drawn: _Drawn) -> None:
        """Write one image's files, and keep its entries for the JSON."""
        path = self.folder.map_file(drawn.source)
        write_bytes(path, drawn.map_png)
        write_bytes(self.folder.overlay_file(drawn.source), drawn.overlay_png)
        self.images.append(drawn.image)
        image_id = drawn.source.image_id
        self.annotations.append({"image_id": image_id, "file_name": path.name, "segments_info": drawn.segments_info})

    def document(self) -> dict[str, Any]:
        """Return the content of the JSON, in COCO's panoptic format."""
        info = {"made_by": MADE_BY, "version": __version__, "recipe": self.model.recipe.name, "setting": self.setting}
        return {
            "info": {**info, "maps": "category ids, grey" if self.semantic else "COCO panoptic, R + 256 G + 65536 B"},
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories_of(self.model.vocabulary),
        }

    def stage_report(self, num_broken: int) -> StageReport:
        """Return a report with a table of the first images, and counts."""
        rows = []
        for image, annotation in zip(self.images[:_ROWS], self.annotations, strict=False):
            counts = Counter(item["category"] for item in annotation["segments_info"])
            found = ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.most_common())
            rows.append({"image": image["file_name"], "segments": counts.total(), "found": found})
        more = len(self.images) - len(rows)
        notes = [f"{more} more images: {self.folder.json_file}"] if more else []
        table = Table(f"{self.model.recipe.name}, {self.setting}: segments", _COLUMNS, rows, notes)
        segments = sum(len(annotation["segments_info"]) for annotation in self.annotations)
        summary = {"setting": self.setting, "images": len(self.images), "segments": segments, "broken": num_broken}
        return StageReport("predict", [table], [self.folder.path, self.folder.json_file], None, summary)
