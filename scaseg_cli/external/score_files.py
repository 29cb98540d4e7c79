"""Computes the panoptic quality of predictions in files, one image at a time.

A background thread decodes, compares and checks the label and prediction of an image, and returns a small table of
pixel counts. Shapes: G labelled segments, S predicted segments.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.prefetch import prefetched
from scaseg_cli.data.segment_png import OPAQUE, CodeReader, one_thread_a_call, silent_decoder
from scaseg_cli.errors import ScasegError
from scaseg_cli.measures.panoptic_quality import PanopticQuality, label_segments
from scaseg_cli.measures.shared_pixels import shared_pixels
from scaseg_cli.results.console import meter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.external.predicted_set import Predicted, PredictedSet

_SHOWN = 50  # images with mistakes to name; further ones are counted


class Compared(NamedTuple):
    """The comparison of one image's two PNGs.

    Attributes:
        areas: [1 + G], pixels of void and of each labelled segment.
        pixels: [S][1 + G], pixels that each predicted segment shares with these; empty if there are problems.
        problems: descriptions of what is wrong.
    """

    areas: list[int]
    pixels: list[list[int]]
    problems: list[str]


@dataclass
class Scored:
    """The counts, and the number of labelled segments whose area in the annotations differs from the PNG."""

    quality: PanopticQuality
    num_other_areas: int


def score_files(
    labels: LabelledSet, predicted: PredictedSet, class_ids: dict[int, int], num_classes: int, workers: int
) -> Scored:
    """Count TP, FP, FN and IoU over all images.

    Args:
        labels: the labelled images.
        predicted: their predictions.
        class_ids: category_id to class_id.
        num_classes: N.
        workers: threads that read ahead; 0 for none.

    Raises:
        ScasegError: predictions are missing, or PNGs are missing, broken, or do not match their JSON. Checks all
            images and names each one with a mistake.
    """
    if not labels.labels_dir.is_dir():
        raise ScasegError(f"the folder of labels {labels.labels_dir} does not exist", "Name it with --labels FOLDER.")
    scored = Scored(PanopticQuality(num_classes), 0)
    mistakes = Mistakes(f"the file of predictions {predicted.json_file}", at_most=_SHOWN)

    thread = _Readers()

    def compare(record: ImageRecord) -> tuple[ImageRecord, Compared | None]:
        found = predicted.images.get(record.image_id)
        return record, compared(labels.label_path(record), record, found, thread) if found is not None else None

    with meter("scoring predictions", len(labels.images)) as shown, one_thread_a_call(), silent_decoder():
        for record, found in prefetched(compare, labels.images, workers):
            problems = predicted.mistakes.get(record.image_id, []) + (found.problems if found is not None else [])
            if problems:
                mistakes.add(f"image {record.image_id} ({record.file_name}): {'; '.join(problems)}")
            elif found is not None:
                _count(scored, record, found, predicted.images[record.image_id], class_ids)
            shown.advance()
    mistakes.stop_if_any(
        "Provide one prediction per image: a panoptic PNG of the image size, and its segments in the JSON."
    )
    return scored


class _Readers(threading.local):
    """A reader of predictions and a reader of labels for each thread."""

    def __init__(self) -> None:
        self.prediction, self.label = CodeReader(), CodeReader()


def compared(label_path: Path, record: ImageRecord, predicted: Predicted, readers: _Readers) -> Compared:
    """Read and compare one image's two PNGs; mistakes are returned, not raised."""
    label_ids = _codes([segment.id for segment in record.segments])
    prediction_ids = _codes(predicted.segment_ids)
    problems: list[str] = []
    maps = []
    for reader, path in ((readers.prediction, predicted.path), (readers.label, label_path)):
        try:
            maps.append(reader.read(path, record.width, record.height).reshape(-1))
        except ScasegError as error:
            problems.append(error.message)
    if problems:
        return Compared([], [], problems)
    shared = shared_pixels(maps[0], prediction_ids, maps[1], label_ids)
    problems += _disagreements(predicted.path, prediction_ids, shared.pixels.sum(axis=1), shared.stray_prediction)
    problems += _disagreements(label_path, label_ids, shared.pixels.sum(axis=0), shared.stray_label)
    return Compared(shared.pixels.sum(axis=0).tolist(), shared.pixels[1:].tolist(), problems)


def _codes(ids: Sequence[int]) -> NDArray[np.uint32]:
    """Codes of void and of these segments."""
    return np.array([0, *ids], dtype=np.uint32) + np.uint32(OPAQUE)


def _disagreements(path: Path, codes: NDArray[np.uint32], areas: NDArray[np.int64], stray: list[int]) -> list[str]:
    """Segments that are in the PNG or in its JSON, but not in both."""
    if not stray and areas[1:].all():
        return []
    missing = [int(code) - OPAQUE for code in codes[1:][areas[1:] == 0]]
    return [
        *(f"{path} has no pixel of segment {segment_id}, which is in its JSON" for segment_id in missing),
        *(f"{path} has pixels of segment {code - OPAQUE}, which is not in its JSON" for code in stray),
    ]


def _count(
    scored: Scored, record: ImageRecord, found: Compared, predicted: Predicted, class_ids: dict[int, int]
) -> None:
    segments = record.segments
    classes = [class_ids[segment.category_id] for segment in segments]
    label = label_segments(found.areas, classes, [bool(segment.iscrowd) for segment in segments])
    scored.quality.add_counts(label, found.pixels, [class_ids[category_id] for category_id in predicted.category_ids])
    scored.num_other_areas += sum(
        segment.area not in (None, area) for segment, area in zip(segments, found.areas[1:], strict=True)
    )
