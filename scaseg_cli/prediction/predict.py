"""`scaseg predict`: from images to segment maps, overlays and one JSON in COCO's panoptic format."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaseg_cli.data.images import read_image
from scaseg_cli.data.prefetch import num_cores, prefetched
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_value
from scaseg_cli.prediction.journal import Entry, Journal
from scaseg_cli.prediction.model import (
    Model,
    batches,
    check_increment,
    check_threshold,
    choose_setting,
    load_predictor,
    needs_of_setting,
)
from scaseg_cli.prediction.nothing_found import what_it_knows
from scaseg_cli.prediction.output import OutputFolder
from scaseg_cli.prediction.sources import Source, as_text
from scaseg_cli.prediction.vocabulary import vocabulary_of
from scaseg_cli.prediction.written import Found, Written
from scaseg_cli.results.console import meter, say, say_plainly
from scaseg_cli.stages import require, stage_key
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.tasks import Setting

_NAMED = 50  # maximum number of unreadable images named in the error; more are counted
_READERS = 2  # threads that read images ahead of the network
_DRAWERS = 4  # maximum number of threads that draw the results
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
    overlays: bool = True,
    rle: bool = False,
    increment: float | None = None,
) -> PredictOutcome:
    """Segment images, and write a map and an overlay for each and one JSON for all.

    A call that was interrupted is resumed: images that it finished are not predicted again.

    Args:
        recipe: the run's recipe.
        run: the run folder with its finished stages.
        sources: the images.
        output: folder for the results.
        names: names of things and of stuff; None means the run's classes.
        setting: ``inductive`` or ``transductive``; None means transductive if the run has a fine-tuned projector.
        batch_size: maximum number of images of one size in a batch; None means the evaluation's batch size.
        object_threshold: minimum class probability of a query that becomes a segment; None means the evaluation's.
        overlays: whether to draw an overlay for each image.
        rle: whether to write all masks into one more JSON, in COCO's format of results.
        increment: added to the logits of unseen classes; None means the recipe's in the inductive setting, else 0.

    Raises:
        ScasegError: a stage is missing or was made by another recipe, names are wrong, no image exists, or the folder
            cannot be used. An unreadable image does not raise: see `PredictOutcome`.
    """
    if object_threshold is not None:
        check_threshold(recipe, object_threshold, "--object-threshold")
    if increment is not None:
        check_increment(increment, "--increment")
    chosen = choose_setting(run, setting)
    require(recipe, run, *needs_of_setting(chosen))
    # Wrong names, missing images and a folder of others are reported before the network is loaded.
    vocabulary_of(run, names)
    broken: list[str] = []
    there = _existing(sources, broken)
    folder = OutputFolder(output)
    folder.check(sources)
    model = load_predictor(recipe, run, chosen).over(names)
    if object_threshold is not None:
        model = model.with_threshold(object_threshold)
    if increment is not None:
        model = model.with_increment(increment)
    vocabulary = model.vocabulary
    unseen = len(vocabulary.classes) - vocabulary.num_seen
    raised = f", unseen logits {model.candidate.increment:+g}" if model.candidate.increment else ""
    say(f"{chosen}: images {len(sources)}, classes {len(vocabulary.classes)}, {unseen} of them unseen{raised}")
    if (known := what_it_knows(recipe, run, sources, vocabulary)) is not None:
        say_plainly(known)
    written = Written(model, folder, chosen, [source.image_id for source in sources], overlays, rle)
    size = batch_size or recipe.evaluation.batch_size
    journal = Journal(output, _key(recipe, run, chosen, written, object_threshold, size))
    finished = {source: entry for source in there if (entry := _reusable(journal, written, source)) is not None}
    folder.prepare(sources, written.document())
    journal.begin()
    for source, entry in finished.items():
        written.keep(source, entry)
    if finished:
        say(f"resuming: {len(finished)} of {len(sources)} images are there")
    parts, ended = _left(there, finished), False
    try:
        with meter("predicting", len(sources), len(sources) - sum(map(len, parts))) as shown:

            def refuse(error: ScasegError) -> None:
                broken.append(error.message)
                say_plainly(f"skipped: {error.message}")
                shown.advance()

            found = (one for part in parts for one in _segmented(model, _readable(part, refuse), size))
            # Drawing is slower than a GPU. The queue is short, since each entry holds an image.
            for drawn in prefetched(written.draw, found, min(_DRAWERS, num_cores()), depth=1):
                journal.add(drawn.source, written.add(drawn), drawn.first)
                shown.advance()
        ended = True
    finally:  # an interrupted call also lists what it wrote
        written.write_lists()
        journal.end(ended)
    written.say_nothing_found()
    return PredictOutcome(written.stage_report(len(broken)), written.document(), _error_of(broken, len(sources)))


def _existing(sources: Sequence[Source], broken: list[str]) -> list[Source]:
    """The images whose files exist; the others are named at once, and added to ``broken``.

    Raises:
        ScasegError: none exists.
    """
    there = []
    for source in sources:
        if os.path.exists(source.path):
            there.append(source)
            continue
        broken.append(f"the image {source.path} does not exist")
        say_plainly(f"skipped: {broken[-1]}")
    if not there and (error := _error_of(broken, len(sources))) is not None:
        raise error
    return there


def _key(
    recipe: Recipe, run: RunDir, setting: Setting, written: Written, threshold: float | None, batch_size: int
) -> str:
    """Identifies what a call writes, whichever its images are."""
    stages = [stage_key(recipe, run, stage) for stage in needs_of_setting(setting)]
    increment = written.model.candidate.increment
    chosen = [
        written.overlays,
        written.rle,
        threshold,
        increment,
        batch_size,
        recipe.evaluation.model_dump(mode="json"),
    ]
    return hash_value([__version__, stages, setting, written.document()["categories"], chosen])


def _reusable(journal: Journal, written: Written, source: Source) -> Entry | None:
    """What an interrupted call of the same kind wrote for an image, if its files are there."""
    entry = journal.entries.get(as_text(str(source.path)))
    files = [written.folder.map_file(source), *([written.folder.overlay_file(source)] if written.overlays else [])]
    named_alike = entry is not None and entry.annotation.get("file_name") == files[0].name
    return entry if named_alike and all(path.is_file() for path in files) else None


def _left(sources: Sequence[Source], finished: Collection[Source]) -> list[list[Source]]:
    """The images that are left: first those among the finished ones that could not be read, then those after them.

    The two are batched apart, so that the batches after the finished images are those of an uninterrupted call.
    """
    places = [place for place, source in enumerate(sources) if source in finished]
    after = places[-1] + 1 if places else 0
    return [[source for source in sources[:after] if source not in finished], list(sources[after:])]


def _segmented(model: Model, images: Iterable[InputImage], batch_size: int) -> Iterator[Found]:
    """Segment images; each comes with whether it was the first one of its batch."""
    for batch in batches(images, batch_size):
        for place, segments in enumerate(model.segment([image for _, image in batch])):
            source, image_HW3 = batch[place]
            yield Found(source, image_HW3, segments, place == 0)


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
